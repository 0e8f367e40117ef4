import Failures
import Generation
import JSON
import Shards

/// What a run reads and does not make: networks and data, told by sizes and samples of their bytes, so that a run that goes
/// on notices other content behind the same names.
struct RunInputs {
    private var networks: [ModelFiles.Content] = []
    /// Nil of shards that lie elsewhere.
    private var shards: [(name: String, content: String?)] = []
    /// Of the validation data's shards.
    var validation: [String?] = []

    init() {}

    /// - Parameter besides: the key of a network that is trained itself.
    init(_ files: ModelFiles, besides: String?, _ shards: [Shard]) throws {
        networks = try files.contents().filter { $0.key != besides }
        self.shards = shards.map { ($0.name, $0.contentSample) }
    }

    /// As a checkpoint keeps it.
    var json: JSON {
        var networks = JSON.Object()
        for network in self.networks {
            networks[network.key] = ["name": .string(Self.shown(network.name)), "content": .string(network.sample)]
        }
        return [
            "networks": .object(networks), "shards": .array(shards.map { Self.json($0.content) }),
            "validation": .array(validation.map(Self.json)),
        ]
    }

    private static func shown(_ name: String) -> String { ShownText.withoutSecrets(name) }

    private static func json(_ content: String?) -> JSON { content.map(JSON.string) ?? .null }

    /// What is said of what is another than when a checkpoint was saved; of a checkpoint that kept nothing, nothing.
    /// - Throws: a failure of the input where other weights lie under the name of before.
    func changes(since before: JSON, in folder: String) throws -> [String] {
        var remarks: [String] = []
        for network in networks {
            guard let saved = before["networks"]?[network.key], let content = saved["content"]?.stringValue,
                content != network.sample
            else { continue }
            guard saved["name"]?.stringValue != Self.shown(network.name) else {
                throw Failure.input(
                    "other weights lie at `\(network.key)` than when the run was saved", at: .init(network.name),
                    expected: "what the run in \(folder) began with, by size and samples of bytes \(content)",
                    got: network.sample,
                    advice: "put them back or choose another experiment_id; named by another path, others are taken")
            }
            remarks.append("`\(network.key)` names other weights than when the run was saved")
        }
        let saved = before["shards"]?.arrayValue ?? []
        let others = saved.count == shards.count ? zip(shards, saved).filter { Self.differ($0.content, $1) } : []
        if let first = others.first?.0.name {
            remarks.append(
                "\(others.count) of \(shards.count) shards hold something else than when the run was saved, such as "
                    + "\(first) (by size and samples of bytes): what comes next is not what would have come")
        }
        return remarks
    }

    /// Whether the validation data is another under the same names.
    func hasOtherValidation(since before: JSON) -> Bool {
        guard let saved = before["validation"]?.arrayValue else { return false }
        return saved.count != validation.count || zip(validation, saved).contains { Self.differ($0, $1) }
    }

    private static func differ(_ content: String?, _ saved: JSON) -> Bool {
        guard let content, let saved = saved.stringValue else { return false }
        return content != saved
    }
}
