import CascadeAdapt
import Generation
import Images

// cascade-images MODELS PROMPT OUT.png [LORA]: an image from a prompt, with the pipeline as a library.
let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count == 3 || arguments.count == 4 else { fatalError("cascade-images MODELS PROMPT OUT.png [LORA]") }
var configuration = GenerationPipeline.Configuration(models: try ModelFiles(folder: arguments[0]))
configuration.adapters = arguments.dropFirst(3).map { AdapterUse($0, strength: 0.8) }
let pipeline = GenerationPipeline(configuration, CascadeAdapt.plugIns)
var request = ImageRequest(prompt: arguments[1])
request.size = ImageSize(width: 512, height: 512)
for image in try pipeline.images([request]) { try image.image.write(to: arguments[2]) }
