import JSON
import Synchronization

/// What a configuration comes to, gathered while it is read: the value in effect of each key that is asked for, also of
/// those that are left out.
///
/// It goes with the root of a configuration and from there with everything that is read of it.
public final class EffectiveValues: Sendable {
    /// What stands where a key is left out, in the place of the default that it has now; by dotted path.
    private let standIns: [String: JSON]
    private let gathered = Mutex<[(path: String, value: JSON)]>([])
    private let used = Mutex<[(path: String, value: JSON)]>([])

    /// - Parameter standIns: what stands where a key is left out, in the place of the default that it has now.
    public init(standIns: [String: JSON] = [:]) { self.standIns = standIns }

    /// The stand-ins that were asked for, in that order.
    public var standInsInUse: [(path: String, value: JSON)] { used.withLock { $0 } }

    /// Says what stands for a key that is left out; what was said of keys under it is forgotten.
    public func settle(_ path: String, _ value: JSON) {
        gathered.withLock { values in
            values.removeAll { $0.path.hasPrefix(path + ".") }
            if let index = values.firstIndex(where: { $0.path == path }) {
                values[index].value = value
            } else {
                values.append((path, value))
            }
        }
    }

    /// A stand-in for the default of a key; nil where the default holds.
    func standIn(_ path: String, in file: String) -> Setting? {
        guard let value = standIns[path] else { return nil }
        used.withLock { values in
            if !values.contains(where: { $0.path == path }) { values.append((path, value)) }
        }
        return Setting(value, file: file, path: path)
    }

    /// All keys that were asked for with the values in effect, and whatever else is written.
    /// - Parameter written: the configuration as it was read.
    public func json(_ written: JSON) -> JSON {
        gathered.withLock { values in
            values.reduce(written.isNull ? .object(.init()) : written) { json, entry in
                Self.adding(entry.value, to: json, under: entry.path.split(separator: ".")[...])
            }
        }
    }

    /// A name alone, such as `adamw`, becomes a mapping where something stands under it.
    private static func adding(_ value: JSON, to json: JSON?, under keys: ArraySlice<Substring>) -> JSON {
        guard let key = keys.first else { return value }
        var object: JSON.Object
        switch json {
        case .object(let mapping): object = mapping
        case .array(let elements): return .array(elements)
        case nil, .null: object = .init()
        case let name?:
            object = .init()
            object["name"] = name
        }
        object[String(key)] = adding(value, to: object[String(key)], under: keys.dropFirst())
        return .object(object)
    }
}
