import Generation
import Torch

extension ModelFiles {
    /// What a run's configuration names, on the device of the run.
    init(_ run: RunConfiguration, device: Device) {
        self.init()
        let places = run.places
        let stage = Stage(
            architecture: Source(key: "model_version", name: run.modelVersion, place: places.model),
            weights: run.generatorPath.map {
                Source(key: "generator_checkpoint_path", name: $0, place: places.generator)
            })
        let decoder = Source(key: run.stage.decoderKey, name: run.decoderPath, place: places.decoder)
        switch run.stage {
        case .b: (stageB, stageA) = (stage, decoder)
        case .c: (stageC, previewer) = (stage, decoder)
        }
        effnet = Source(key: "effnet_checkpoint_path", name: run.effnetPath, place: places.effnet)
        text = Source(key: "clip_text_model_name", name: run.clipTextModel, place: places.text)
        image = run.clipImageModel.map { Source(key: "clip_image_model_name", name: $0, place: places.image) }
        isImageAntialiased = run.isCLIPAntialiased
        dtype = run.dtype
        baseDType = run.baseDType
        computeDType = run.compute?.dtype(on: device)
        weightsDType = run.weightsDType
        self.device = device
        isCheckpointing = run.isCheckpointing
        offloadedBlocks = run.offload?.count
    }
}
