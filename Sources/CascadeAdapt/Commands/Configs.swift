import ArgumentParser
import Failures
import Files
import JSON
import Models
import Settings

/// `configs`: the configurations that come with the program.
struct Configs: Action {
    static let configuration = CommandConfiguration(
        commandName: "configs", abstract: "List the configurations that come with the program, or print one.",
        discussion: """
            Commands that take a configuration know these by name too: lora_c_tiny, training/lora_c_tiny, \
            miniature/fernando. To change one, print it to a file of your own: \
            cascade-adapt configs training/lora_c_tiny > mine.yaml
            """)

    @Argument(help: "Which to print; the list if left out.")
    var name: String?

    @Flag(help: "Print the list as JSON.")
    var json = false

    func run(in context: Context) throws {
        let all = Shipped().configurations()
        if let name { return try print(name, among: all) }
        guard !all.isEmpty else {
            throw Failure.run(
                "no configurations came with this program",
                expected: "share/cascade-adapt beside its bin, or a checkout",
                advice: "install it with `make install`, or run the program of a checkout")
        }
        let described = try all.map { ($0, try Self.description(of: $0.path)) }
        if json {
            return try Output().result([
                "configurations": .array(
                    described.map { ["name": .string($0.name), "path": .string($0.path), "description": .string($1)] })
            ])
        }
        let width = all.map(\.name.count).max() ?? 0
        for (configuration, description) in described {
            let padding = String(repeating: " ", count: width - configuration.name.count)
            try Output().result("\(configuration.name)\(padding)  \(description)")
        }
    }

    private func print(_ name: String, among all: [Shipped.Configuration]) throws {
        let path = Shipped().configuration(name, for: nil)
        guard fileExists(path) else {
            let short = all.map(\.name) + all.map { lastComponent(of: $0.name) }
            throw Failure.input(
                "no configuration of this name came with the program", expected: "a name that `configs` lists",
                got: name,
                advice: nearestName(to: name, among: short).map { "did you mean `\($0)`?" })
        }
        try Output().verbatim(String(decoding: try readFile(path), as: UTF8.self))
    }

    /// The first sentence of the comment that a configuration begins with, behind the command that runs it.
    private static func description(of path: String) throws -> String {
        let lines = String(decoding: try readFile(path), as: UTF8.self).split(separator: "\n")
        let words = lines.prefix { $0.hasPrefix("#") }.dropFirst().map { $0.drop { "# ".contains($0) } }
        let text = words.filter { !$0.isEmpty }.joined(separator: " ")
        // A sentence ends before a capital: file names have points too.
        var end = text.startIndex
        while let point = text[end...].firstIndex(of: ".") {
            end = text.index(after: point)
            if end == text.endIndex || text[end] == " " { return String(text[..<point]) }
        }
        return text
    }
}
