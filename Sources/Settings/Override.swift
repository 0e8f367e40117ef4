import Failures

extension Setting {
    /// The tree with one value put in its place, as `--set KEY=VALUE` asks.
    ///
    /// KEY is a dotted path whose missing mappings are made; a number selects an element of a list, and the number
    /// behind the last appends one. VALUE is YAML. Everything new has the place `--set KEY=VALUE`.
    public func overridden(by assignment: String) throws -> Setting {
        let place = Failure.Place("--set \(ShownText.withoutSecrets(assignment))")
        guard let equals = assignment.firstIndex(of: "="), equals != assignment.startIndex else {
            throw Failure.input("no key and value", at: place, expected: "KEY=VALUE")
        }
        let keys = assignment[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard keys.allSatisfy({ !$0.isEmpty }) && keys.count <= 64 else {
            throw Failure.input("a key with an empty part", at: place, expected: "KEY=VALUE")
        }
        let text = String(assignment[assignment.index(after: equals)...])
        let value: Setting
        do {
            value = try YAMLDocument.read(Array(text.utf8), file: place.file)
        } catch var failure as Failure {
            failure.place = place
            throw failure
        }
        return try putting(value.placed(place), under: keys[...], at: place)
    }

    private func putting(_ new: Setting, under keys: ArraySlice<String>, at place: Failure.Place) throws -> Setting {
        guard let key = keys.first else { return Setting(new.moved(to: path).value, at: place, path: path) }
        let inner = { (old: Setting?) in
            try (old ?? Setting(.null, at: place, path: path(of: key))).putting(new, under: keys.dropFirst(), at: place)
        }
        switch value {
        case .null:
            return Setting(
                .mapping([Member(key: key, place: place, value: try inner(nil))]), at: self.place, path: path)
        case .mapping(var members):
            if let index = members.firstIndex(where: { $0.key == key }) {
                let old = members[index]
                members[index] = Member(key: key, place: old.place, value: try inner(old.value))
            } else {
                members.append(Member(key: key, place: place, value: try inner(nil)))
            }
            return Setting(.mapping(members), at: self.place, path: path)
        case .sequence(var elements):
            guard let index = Int(key), (0...elements.count).contains(index) else {
                throw Failure.input(
                    "\"\(path)\" is a list", at: place, expected: "an index from 0 to \(elements.count)", got: key)
            }
            let element = try inner(index < elements.count ? elements[index] : nil)
            if index < elements.count { elements[index] = element } else { elements.append(element) }
            return Setting(.sequence(elements), at: self.place, path: path)
        case .scalar:
            throw Failure.input(
                "\"\(path)\" is no mapping, \"\(key)\" cannot be set in it", at: place, got: sample)
        }
    }

    /// The same tree as if all of it were written at one place.
    private func placed(_ place: Failure.Place) -> Setting {
        let placed: Value
        switch value {
        case .null, .scalar: placed = value
        case .sequence(let elements): placed = .sequence(elements.map { $0.placed(place) })
        case .mapping(let members):
            placed = .mapping(members.map { Member(key: $0.key, place: place, value: $0.value.placed(place)) })
        }
        return Setting(placed, at: place, path: path)
    }
}
