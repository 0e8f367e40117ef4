/// Which part of the house may import which: arrows point down only.
///
/// The floors are those of the design, from the ground up. Doors (the C and C++ targets in `Sources/Native`) lie below
/// the ground floor. Plug-ins stand on `AdapterKit`, beside what trains and samples.
struct House {
    /// The targets in `Sources/Native`.
    let doors: Set<String>
    /// The targets in `Plugins`.
    let plugIns: Set<String>

    /// Libraries and executables, lowest first. A target imports from lower lines only.
    static let floors: [[String]] = [
        ["Failures"],
        ["Files"],
        ["JSON"],
        ["Expressions"],
        ["Torch", "LinearAlgebra"],
        ["Web", "Images", "Inference", "Weights", "Settings", "Telemetry"],
        ["Shards"],
        ["Loading", "Models"],
        ["Layers", "Optimization"],
        ["Cascade"],
        ["Diffusion"],
        ["AdapterKit"],
        ["AdapterAlgebra", "Generation"],
        ["Training"],
        ["CascadeAdapt"],
        ["cascade-adapt", "cascade-bench", "cascade-filter-bench", "cascade-miniature"],
    ]

    /// Modules of the toolchain that every target may import.
    static let toolchain: Set<String> = ["Swift", "Glibc", "Synchronization"]

    /// Modules from outside that only some may import.
    static let restricted: [String: Set<String>] = [
        "Foundation": ["Telemetry", "Loading", "Training", "CascadeAdapt"],
        "ArgumentParser": ["CascadeAdapt", "cascade-miniature"],
    ]

    /// Who alone may import a door, where that is narrower than "who stands above".
    static let guarded: [String: Set<String>] = ["CTorch": ["Torch"], "CTorchEngine": []]

    /// Header folders that one door alone sees, and whose they are.
    static let headers: [(prefixes: [String], owner: String)] = [
        (["ATen/", "torch/", "c10/", "caffe2/"], "CTorchEngine"),
        (["opencv"], "COpenCV"),
    ]

    /// What is wrong with a Swift target's importing a module; nil where nothing is.
    func complaint(about target: String, importing module: String) -> String? {
        if target == module || Self.toolchain.contains(module) { return nil }
        if let allowed = Self.restricted[module] {
            return allowed.contains(target) ? nil : "\(target) imports \(module), which only \(list(allowed)) may"
        }
        if let allowed = Self.guarded[module] {
            return allowed.contains(target) ? nil : "\(target) imports \(module), which only \(list(allowed)) may"
        }
        guard let height = height(of: target) else { return "\(target) stands nowhere in the design" }
        if doors.contains(module) { return nil }
        if plugIns.contains(module) {
            if plugIns.contains(target) { return "plug-in \(target) imports plug-in \(module)" }
            let above = Self.floors.firstIndex { $0.contains("CascadeAdapt") } ?? Self.floors.count
            return height >= above ? nil : "\(target) imports plug-in \(module)"
        }
        guard let below = self.height(of: module) else {
            return "\(target) imports \(module), which is not in the design"
        }
        return below < height ? nil : "\(target) imports \(module), which does not lie below it"
    }

    /// What is wrong with a door's including a header, as it stands between the quotes or brackets; nil where nothing is.
    func complaint(about door: String, including header: String) -> String? {
        for (prefixes, owner) in Self.headers where owner != door {
            if prefixes.contains(where: header.hasPrefix) {
                return "\(door) includes \(header), which only \(owner) may"
            }
        }
        let name = header.split(separator: "/").last.map(String.init) ?? header
        let other = String(name.prefix { $0 != "." })
        if doors.contains(other), other != door, !(door == "CTorchEngine" && other == "CTorch") {
            return "door \(door) includes door \(other)'s header"
        }
        return nil
    }

    /// The floor a target stands on; a plug-in shares the one right above `AdapterKit`.
    private func height(of target: String) -> Int? {
        if plugIns.contains(target) {
            return Self.floors.firstIndex { $0.contains("AdapterKit") }.map { $0 + 1 }
        }
        return Self.floors.firstIndex { $0.contains(target) }
    }

    private func list(_ names: Set<String>) -> String {
        names.isEmpty ? "nobody" : names.sorted().joined(separator: ", ")
    }
}
