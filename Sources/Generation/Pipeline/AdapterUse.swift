import AdapterKit
import Settings

/// An adapter's file and how it is used.
public struct AdapterUse {
    public var file: String
    public var strength: Double
    /// In which of Stage C's steps; what it changes of the text encoder counts in all.
    public var window = StepWindow.all
    /// What the file does not say of itself.
    public var reading = AdapterReading()

    public init(_ file: String, strength: Double = 1) {
        self.file = file
        self.strength = strength
    }
}

/// A ControlNet's file and how it is used.
public struct ControlUse {
    public var file: String
    public var strength: Double
    /// In which of Stage C's steps.
    public var window = StepWindow.all
    /// The file of the image that its filter makes the condition of, or of the condition itself.
    public var image: String
    /// Whether the image is a condition already: its pixels, or the tensor `condition` of a safetensors file.
    public var isCondition = false
    /// The file of a mask of the image's size; a filter that takes none does not see it.
    public var mask: String?
    /// The filter; nil takes what the ControlNet's file says.
    public var filter: FilterChoice?
    /// What the file does not say of itself.
    public var reading = AdapterReading()

    public init(_ file: String, strength: Double = 1, image: String) {
        self.file = file
        self.strength = strength
        self.image = image
    }
}

/// A filter by name, with its parameters.
public struct FilterChoice {
    public var name: String
    public var parameters: Setting

    public init(name: String, parameters: Setting) {
        self.name = name
        self.parameters = parameters
    }
}
