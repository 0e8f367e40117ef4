extension JSON {
    /// The members of a JSON object in the order they were written, found by key in constant time.
    ///
    /// Keys are told apart byte by byte, as other readers of JSON do, and not by Swift's canonical equivalence: a
    /// vocabulary may hold both spellings of an accented letter.
    public struct Object: Sendable {
        /// In the order in which they were written or set.
        public private(set) var keys: [String] = []
        private var values: [JSON] = []
        /// Where each key stands; left empty while a walk over a few keys is cheaper.
        private var places: [ExactText: Int] = [:]
        private static let walked = 8

        /// An object without members.
        public init() {}

        /// How many members there are.
        public var count: Int { keys.count }

        /// The member under a key. Setting nil removes it; setting a new key appends it.
        public subscript(key: String) -> JSON? {
            get { place(of: key).map { values[$0] } }
            set {
                if let place = place(of: key) {
                    if let newValue { values[place] = newValue } else { remove(at: place) }
                } else if let newValue {
                    append(newValue, under: key)
                }
            }
        }

        /// Appends a member and says true, or says false where the key is taken.
        mutating func insert(_ value: JSON, under key: String) -> Bool {
            guard place(of: key) == nil else { return false }
            append(value, under: key)
            return true
        }

        private func place(of key: String) -> Int? {
            guard keys.count > Self.walked else {
                let key = ExactText(key)
                return keys.firstIndex { ExactText($0) == key }
            }
            return places[ExactText(key)]
        }

        private mutating func append(_ value: JSON, under key: String) {
            keys.append(key)
            values.append(value)
            if keys.count == Self.walked + 1 {
                index()
            } else if keys.count > Self.walked {
                places[ExactText(key)] = keys.count - 1
            }
        }

        private mutating func remove(at place: Int) {
            keys.remove(at: place)
            values.remove(at: place)
            index()
        }

        private mutating func index() {
            places.removeAll(keepingCapacity: true)
            guard keys.count > Self.walked else { return }
            for (place, key) in keys.enumerated() { places[ExactText(key)] = place }
        }
    }
}

extension JSON.Object: Equatable {
    /// Equal where the same keys have the same values, in whatever order.
    public static func == (left: Self, right: Self) -> Bool {
        left.count == right.count && left.allSatisfy { right[$0.key] == $0.value }
    }
}

extension JSON.Object: RandomAccessCollection {
    /// The first member's position, always 0.
    public var startIndex: Int { 0 }
    /// One past the last member's position.
    public var endIndex: Int { keys.count }
    /// A member by its place in the order, counted from 0.
    public subscript(position: Int) -> (key: String, value: JSON) { (keys[position], values[position]) }
}
