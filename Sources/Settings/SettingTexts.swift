extension Setting {
    /// The same tree with its scalars' texts changed; keys and places stay.
    public func mapTexts(_ change: (String) -> String) -> Setting {
        let changed: Value
        switch value {
        case .null: changed = value
        case .scalar(let text, let quoted): changed = .scalar(text: change(text), quoted: quoted)
        case .sequence(let elements): changed = .sequence(elements.map { $0.mapTexts(change) })
        case .mapping(let members):
            changed = .mapping(
                members.map { Member(key: $0.key, place: $0.place, value: $0.value.mapTexts(change)) })
        }
        return Setting(changed, at: place, path: path).gathered(by: effective)
    }
}
