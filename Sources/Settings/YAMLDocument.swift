import CYAML
import Failures

/// Builds the tree of one YAML document from libyaml's events.
struct YAMLDocument {
    private static let maximumDepth = 64
    private static let maximumNodes = 100_000

    /// What libyaml read, copied out of its reader.
    private struct Event {
        var kind: cyaml_kind
        var place: Failure.Place
        var text: String
        var quoted: Bool
        var tag: String?
        var anchor: String?
    }

    private let reader: OpaquePointer
    private let file: String
    private var anchors: [String: (setting: Setting, nodes: Int)] = [:]
    private var nodes = 0

    static func read(_ bytes: [UInt8], file: String) throws -> Setting {
        // The empty buffer has no address, and libyaml wants one.
        try (bytes + [0]).withUnsafeBufferPointer { padded in
            guard let reader = cyaml_open(padded.baseAddress, bytes.count) else {
                throw Failure.run("no memory to read a configuration", at: Failure.Place(file))
            }
            defer { cyaml_close(reader) }
            var document = YAMLDocument(reader: reader, file: file)
            return try document.root()
        }
    }

    private init(reader: OpaquePointer, file: String) {
        self.reader = reader
        self.file = file
    }

    private mutating func root() throws -> Setting {
        guard try next().kind == CYAML_DOCUMENT_START else {
            return Setting(.null, at: Failure.Place(file, line: 1, column: 1), path: "")
        }
        let setting = try node(next(), path: "", depthLeft: Self.maximumDepth)
        _ = try next()  // the document's end
        let end = try next()
        guard end.kind == CYAML_STREAM_END else {
            throw Failure.input("a second document begins here", at: end.place, expected: "one document")
        }
        return setting
    }

    private func next() throws -> Event {
        var event = cyaml_event()
        var error = cyaml_error()
        guard cyaml_next(reader, &event, &error) == 0 else {
            let context = error.context.map { " " + String(cString: $0) } ?? ""
            throw Failure.input(
                "not YAML: \(String(cString: error.problem))\(context)",
                at: Failure.Place(file, line: Int(clamping: error.line), column: Int(clamping: error.column)))
        }
        let text = UnsafeRawBufferPointer(start: event.text, count: event.length)
        return Event(
            kind: event.kind,
            place: Failure.Place(file, line: Int(clamping: event.line), column: Int(clamping: event.column)),
            text: String(decoding: text, as: UTF8.self), quoted: event.quoted != 0,
            tag: event.tag.map { String(cString: $0) }, anchor: event.anchor.map { String(cString: $0) })
    }

    /// The node that begins with an event.
    private mutating func node(_ event: Event, path: String, depthLeft: Int) throws -> Setting {
        guard depthLeft > 0 else { throw Failure.input("nested too deep", at: event.place) }
        let before = nodes
        try count(1, at: event.place)
        if event.kind == CYAML_ALIAS { return try alias(event, path: path) }
        let value: Setting.Value
        switch event.kind {
        case CYAML_SEQUENCE_START: value = try sequence(event, path: path, depthLeft: depthLeft)
        case CYAML_MAPPING_START: value = try mapping(event, path: path, depthLeft: depthLeft)
        default: value = try scalar(event)
        }
        let setting = Setting(value, at: event.place, path: path)
        if let anchor = event.anchor { anchors[anchor] = (setting, nodes - before) }
        return setting
    }

    private mutating func count(_ more: Int, at place: Failure.Place) throws {
        nodes += more
        guard nodes <= Self.maximumNodes else {
            throw Failure.input("more than \(Self.maximumNodes) nodes", at: place)
        }
    }

    private mutating func alias(_ event: Event, path: String) throws -> Setting {
        let name = event.anchor ?? ""
        guard let (setting, size) = anchors[name] else {
            throw Failure.input("the alias *\(name) has no anchor before it", at: event.place)
        }
        try count(size - 1, at: event.place)
        return setting.moved(to: path)
    }

    private mutating func sequence(_ start: Event, path: String, depthLeft: Int) throws -> Setting.Value {
        try checkTag(of: start, allowed: ["seq"])
        var elements: [Setting] = []
        let parent = Setting(.null, at: start.place, path: path)
        while true {
            let event = try next()
            if event.kind == CYAML_SEQUENCE_END { return .sequence(elements) }
            elements.append(try node(event, path: parent.path(of: elements.count), depthLeft: depthLeft - 1))
        }
    }

    private mutating func mapping(_ start: Event, path: String, depthLeft: Int) throws -> Setting.Value {
        try checkTag(of: start, allowed: ["map"])
        var members: [Setting.Member] = []
        var places: [String: Failure.Place] = [:]
        let parent = Setting(.null, at: start.place, path: path)
        while true {
            let event = try next()
            if event.kind == CYAML_MAPPING_END { return .mapping(members) }
            guard event.kind == CYAML_SCALAR else {
                throw Failure.input("a key that is no plain text", at: event.place)
            }
            let key = event.text
            guard event.quoted || key != "<<" else {
                throw Failure.input("merge keys are not read here", at: event.place, advice: "Write the keys out.")
            }
            if let first = places.updateValue(event.place, forKey: key) {
                throw Failure.input(
                    "the key \"\(key)\" is given twice", at: event.place,
                    advice: "It is first given at \(first).")
            }
            let value = try node(next(), path: parent.path(of: key), depthLeft: depthLeft - 1)
            members.append(Setting.Member(key: key, place: event.place, value: value))
        }
    }

    private func scalar(_ event: Event) throws -> Setting.Value {
        try checkTag(of: event, allowed: ["str", "null", "bool", "int", "float"])
        let bare = event.tag.map { $0 != "!" && !$0.hasSuffix(":str") } ?? !event.quoted
        return bare && PlainScalar.isNull(event.text) ? .null : .scalar(text: event.text, quoted: !bare)
    }

    private func checkTag(of event: Event, allowed: [String]) throws {
        guard let tag = event.tag, tag != "!", !allowed.contains(where: { tag == "tag:yaml.org,2002:" + $0 }) else {
            return
        }
        throw Failure.input("the tag \(tag) is not read here", at: event.place, advice: "Leave it out.")
    }
}

extension Setting {
    /// The same node under another path; the place stays where it is written.
    func moved(to path: String) -> Setting {
        let moved: Value
        switch value {
        case .null, .scalar: moved = value
        case .sequence(let elements):
            moved = .sequence(elements.enumerated().map { $1.moved(to: "\(path).\($0)") })
        case .mapping(let members):
            moved = .mapping(
                members.map { Member(key: $0.key, place: $0.place, value: $0.value.moved(to: "\(path).\($0.key)")) })
        }
        return Setting(moved, at: place, path: path)
    }
}
