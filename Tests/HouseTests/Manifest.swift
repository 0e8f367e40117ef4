/// What `Package.swift` declares, read as text: which target depends on which.
struct Manifest {
    /// Target's name to the names of what it may import.
    let dependencies: [String: Set<String>]

    init(text: String) {
        var found: [String: Set<String>] = [:]
        var (plugIns, dependsOnPlugIns): (Set<String>, Set<String>) = ([], [])
        // Every plug-in has these, from `func plugIn`.
        let shared = text.firstMatch(of: #/dependencies: \[(?<names>[^\]]*)\] \+ dependencies/#).map {
            Self.names(in: $0.names)
        }
        for match in text.matches(
            of:
                #/(?<kind>library|plugIn)\(\s*"(?<name>[\w-]+)"(?:,\s*\[(?<names>[^\]]*)\](?<all>\s*\+ plugIns\.map \{[^}]*\})?)?\s*\)/#
        ) {
            let own = match.names.map { Self.names(in: $0) } ?? []
            found[String(match.name)] = own.union(match.kind == "plugIn" ? shared ?? [] : [])
            if match.all != nil { dependsOnPlugIns.insert(String(match.name)) }
            if match.kind == "plugIn" { plugIns.insert(String(match.name)) }
        }
        for name in dependsOnPlugIns { found[name]?.formUnion(plugIns) }
        let executable = #/\.executableTarget\(\s*name: "(?<name>[\w-]+)",\s*dependencies: \[(?<names>[^\]]*)\]/#
        for match in text.matches(of: executable) {
            found[String(match.name)] = Self.names(in: match.names)
        }
        dependencies = found
    }

    /// The names in a list as it stands in the manifest: `"Torch", "JSON", argumentParser`.
    private static func names(in list: Substring) -> Set<String> {
        var names = Set(list.matches(of: #/"(?<name>[\w-]+)"/#).map { String($0.name) })
        if list.contains("argumentParser") { names.insert("ArgumentParser") }
        return names
    }
}
