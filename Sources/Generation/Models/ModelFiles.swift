import Failures
import Layers
import Torch

/// Where the networks come from and how they are kept: what a configuration or a folder of models says, as a value.
///
/// A network that nobody names is nil; it is missed only where it is asked for.
public struct ModelFiles: Sendable {
    /// A file, a folder or a hub name, and who says so.
    public struct Source: Sendable {
        /// The key or option that names it.
        public let key: String
        /// The path or hub name, as it was written.
        public let name: String
        /// Where it is named, for failures.
        public let place: Failure.Place

        /// - Parameters:
        ///   - key: the key or option that names it.
        ///   - name: the path or hub name.
        ///   - place: where it is named, for failures.
        public init(key: String, name: String, place: Failure.Place) {
            self.key = key
            self.name = name
            self.place = place
        }
    }

    /// A stage of known architecture.
    public struct Stage: Sendable {
        /// A known size, or the path of an architecture file.
        public var architecture: Source
        /// Nil where nothing trained is named.
        public var weights: Source?

        /// - Parameters:
        ///   - architecture: a known size, or the path of an architecture file.
        ///   - weights: nil where nothing trained is named.
        public init(architecture: Source, weights: Source?) {
            self.architecture = architecture
            self.weights = weights
        }
    }

    /// Makes latents of text: the network that adapters are put on.
    public var stageC: Stage?
    /// Makes Stage A's latents of Stage C's.
    public var stageB: Stage?
    /// The weights of the decoder that makes images of Stage B's latents.
    public var stageA: Source?
    /// The weights of the encoder that makes Stage C's latents of images.
    public var effnet: Source?
    /// The weights of the small decoder that shows Stage C's latents.
    public var previewer: Source?
    /// The folder or hub name of the text encoder with its tokenizer.
    public var text: Source?
    /// The folder or hub name of CLIP's image encoder.
    public var image: Source?
    /// Whether images are averaged over what is left out where they are made smaller for it, which the reference does not
    /// do.
    public var isImageAntialiased = false

    /// What the weights of a frozen Stage C and of the towers are kept in; the small networks stay in float32.
    public var dtype = DType.float32
    /// Whether they are kept as their files have them instead: then nothing is converted, and nothing copied.
    public var keepsStoredDType = false
    /// What the matrices of frozen stages and of the text encoder are kept in; nil keeps them as the rest, or as quantised
    /// files have them.
    public var baseDType: BaseDType?
    /// What stages compute in; nil leaves it to what their weights are kept in and to the processor.
    public var computeDType: DType?
    /// What the weights of a stage that is trained whole are kept in.
    public var weightsDType = DType.float32
    /// Where all networks are kept and computed.
    public var device = Device.cpu
    /// Whether stages and the text encoder keep only each block's input for the backward pass.
    public var isCheckpointing = false
    /// How many blocks of a frozen Stage C wait in host memory and come to the device one ahead; nil keeps all of it there.
    public var offloadedBlocks: Int?

    /// With no network named, all on the CPU in float32.
    public init() {}
}
