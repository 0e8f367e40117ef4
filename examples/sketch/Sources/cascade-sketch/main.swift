import CascadeAdapt

CascadeAdapt.main(adding: [SketchFilter.self], adapters: [ChannelScale.kind])
