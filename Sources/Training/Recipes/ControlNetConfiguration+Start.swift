import AdapterKit
import Failures
import JSON
import Settings
import Weights

/// What a ControlNet that training starts from says of itself, held against the configuration.
extension ControlNetConfiguration {
    /// - Returns: what is said of other parameters of its filter, for people; nil where it says nothing of them, or the
    ///   same.
    /// - Throws: a failure of the input that names the key and both values, where the two are different ControlNets.
    func checkStart(_ plugIns: PlugIns) throws -> String? {
        guard let checkpointPath else { return nil }
        let file = try Tensors.open(checkpointPath)
        let described = file.metadata["format"] == AdapterFile.format ? file.metadata : AdapterFile.carried(by: file)
        func check(_ key: String, _ configured: String, _ stored: String?, at place: Failure.Place?) throws {
            guard let stored, !stored.isEmpty, stored != configured else { return }
            throw Failure.input(
                "`\(key)` is not that of the file to start from", at: place,
                expected: "\(stored), which \(checkpointPath) was trained with", got: configured,
                advice: "put the file's value there, or start without the file")
        }
        let stored = described["controlnet_blocks"].flatMap { try? JSON.parse($0, file: checkpointPath) }
        let indices = stored?.arrayValue.map { JSON.array($0).text() }
        try check("controlnet_blocks", JSON.array(blocks.map(JSON.integer)).text(), indices, at: places.blocks)
        try check(
            "controlnet_bottleneck_mode", bottleneckMode.rawValue, described["bottleneck_mode"], at: places.bottleneck)
        try check("controlnet_filter", filter, described["controlnet_filter"], at: places.filter)

        guard described["controlnet_filter"] == filter,
            let text = described["controlnet_filter_params"],
            let before = (try? JSON.parse(text, file: checkpointPath)).flatMap({ effective($0, plugIns) }),
            let now = effective(filterParameters.json, plugIns), !ConfigurationChanges.areSame(before, now)
        else { return nil }
        return "\(checkpointPath): it was trained with \(filter) of \(before.text()), and goes on with \(now.text())"
    }

    /// What a filter's parameters come to; nil where the filter does not take them.
    private func effective(_ parameters: JSON, _ plugIns: PlugIns) -> JSON? {
        let values = EffectiveValues()
        let setting = Setting(parameters, file: "controlnet_filter_params").gathered(by: values)
        guard (try? plugIns.filter(filter, parameters: setting)) != nil else { return nil }
        return values.json(parameters)
    }
}
