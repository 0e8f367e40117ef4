import AdapterKit
import Settings

/// An adapter's file and how it is used.
public struct AdapterUse {
    /// The path of the adapter, in any format that is read.
    public var file: String
    /// Multiplies what the adapter adds; 1 as it was trained, 0 is off, below 0 is the opposite.
    public var strength: Double
    /// In which of Stage C's steps; what it changes of the text encoder counts in all.
    public var window = StepWindow.all
    /// What the file does not say of itself.
    public var reading = AdapterReading()

    /// In all steps; `strength` 1 is as it was trained.
    public init(_ file: String, strength: Double = 1) {
        self.file = file
        self.strength = strength
    }
}

/// A ControlNet's file and how it is used.
public struct ControlUse {
    /// The path of the ControlNet, in any format that is read.
    public var file: String
    /// Multiplies what the ControlNet injects; 1 as it was trained, 0 is off.
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

    /// In all steps, with the filter that the file names.
    /// - Parameter image: the file that the condition is made of.
    public init(_ file: String, strength: Double = 1, image: String) {
        self.file = file
        self.strength = strength
        self.image = image
    }
}

/// A filter by name, with its parameters.
public struct FilterChoice {
    /// As the filter is registered: "CannyFilter".
    public var name: String
    /// A mapping of the filter's own keys, or null for its defaults.
    public var parameters: Setting

    /// - Parameters:
    ///   - name: as the filter is registered.
    ///   - parameters: a mapping of the filter's own keys, or null.
    public init(name: String, parameters: Setting) {
        self.name = name
        self.parameters = parameters
    }
}
