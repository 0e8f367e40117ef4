import Files
import Web

/// A place where samples lie together, read from its beginning to its end.
public struct Shard: Hashable, Sendable {
    enum Place: Hashable, Sendable {
        /// The path of a tar.
        case file(String)
        case images(ImageSlice)
        case web(WebAddress)
        case object(S3Object)
        /// A shell command that writes the tar.
        case command(String)
    }

    let place: Place
    /// How a place that is no path is reached.
    let reach: ShardReach?
    /// What it is called in messages, the same from run to run. It holds no secret: a hash stands for an address's query
    /// (without signatures, which change) and for a command's arguments.
    public let name: String

    /// A tar on this machine.
    public init(path: String) { self.init(.file(path), reach: nil) }

    init(_ place: Place, reach: ShardReach?) {
        self.place = place
        self.reach = reach
        name =
            switch place {
            case .file(let path): path
            case .images(let slice): slice.name
            case .web(let address):
                address.meaning.isEmpty
                    ? "\(address)" : "\(address)[\(shortHash(address.meaning.joined(separator: "&")))]"
            case .object(let object): "\(object)"
            case .command(let command): commandName(command)
            }
    }

    /// What stands in front of its samples' keys.
    var samplesPlace: String {
        if case .images(let slice) = place { slice.folder } else { name }
    }

    /// The files on this machine that it is read from.
    public var files: [String] {
        switch place {
        case .file(let path): [path]
        case .images(let slice): slice.entries.flatMap { $0.files.map(\.path) }
        case .web, .object, .command: []
        }
    }

    /// Whether it is read across a network or from a command, for which reading ahead is worth its memory.
    var isRemote: Bool {
        switch place {
        case .file, .images: false
        case .web, .object, .command: true
        }
    }

    /// Whether both lie in the same place, however it is reached.
    public static func == (one: Shard, other: Shard) -> Bool { one.place == other.place }

    /// Takes in the place alone, as `==` does.
    public func hash(into hasher: inout Hasher) { hasher.combine(place) }
}

/// `pipe:` with the program and the tars it names; `…` and a hash stand for all other words, which may be secret.
private func commandName(_ command: String) -> String {
    let words = command.split(whereSeparator: \.isWhitespace)
    var shown: [Substring] = []
    var hidesAny = false
    for (index, whole) in words.enumerated() {
        let word = whole.last == ";" ? whole.dropLast() : whole
        let isPlain = !word.contains { "=@?:'\"$`".contains($0) }
        let isTar = tarEndings.contains { word.hasSuffix($0) } && (isPlain || word.hasPrefix("s3://"))
        if isTar || index == 0 && isPlain {
            shown.append(word)
        } else {
            hidesAny = true
            if shown.last != "…" { shown.append("…") }
        }
    }
    return "pipe:" + shown.joined(separator: " ") + (hidesAny ? "[\(shortHash(command))]" : "")
}

private func shortHash(_ text: String) -> String { String(SHA256.hex(of: Array(text.utf8)).prefix(8)) }
