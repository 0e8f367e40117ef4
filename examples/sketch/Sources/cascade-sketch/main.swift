import CascadeAdapt

CascadeAdapt.main(adding: [SketchFilter.self])
