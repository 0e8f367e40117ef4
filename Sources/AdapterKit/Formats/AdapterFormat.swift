/// The file formats that adapters are exported to.
public enum AdapterFormat: String, CaseIterable, Sendable {
    /// Ours: it says what it is and holds all that the others want.
    case native
    /// The official code's: by position, without module names or token texts.
    case stability
    /// kohya's sd-scripts.
    case kohya
    /// What ComfyUI and OneTrainer read.
    case comfyui
    /// diffusers with PEFT.
    case diffusers
}

/// A format that a foreign file was recognised by, from its tensors' names alone.
public struct ForeignFormat: Sendable {
    /// Short and stable, for programs: `lora-kohya`.
    public let name: String
    /// For people: "LoRA as kohya's scripts write it".
    public let description: String

    /// - Parameters:
    ///   - name: short and stable, for programs.
    ///   - description: for people.
    public init(_ name: String, _ description: String) {
        self.name = name
        self.description = description
    }
}
