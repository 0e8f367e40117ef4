import AdapterKit
import COpenCV
import CascadeAdapt
import Failures
import Generation
import Glibc
import Images
import JSON
import Torch

// cascade-filter-bench NAME PARAMETERS ROUNDS IMAGE…
//
// Times a control filter on decoded images, one at a time and on one thread. Prints one JSON line: the median of all
// rounds for each image, averaged over the images; beside CannyFilter also that of OpenCV's Canny on the images'
// bytes alone.
do {
    let arguments = CommandLine.arguments.dropFirst()
    guard let name = arguments.first, let parameters = arguments.dropFirst().first,
        let rounds = arguments.dropFirst(2).first.flatMap(Int.init), (1...10_000).contains(rounds),
        case let images = arguments.dropFirst(3), !images.isEmpty
    else { throw Failure.input("arguments", expected: "NAME PARAMETERS ROUNDS IMAGE…") }
    let filter = try CascadeAdapt.plugIns.filter(name, parameters: .parse(parameters, file: "PARAMETERS"))
    try filter.prepare()
    try Engine.shared().setThreads(1)
    let tensors = try images.map { try ImageTensors.tensor([Image(contentsOf: $0)]) }
    let generator = try Generator(seed: 1)
    let whole = try mean(tensors) { tensor in
        try median(rounds) { _ = try withoutGradients { try filter(tensor, generator: generator) } }
    }
    var result = JSON.Object()
    result["filter"] = .string(name)
    result["images"] = .integer(tensors.count)
    result["seconds_per_image"] = .number(whole)
    if name == "CannyFilter" {
        result["bare_seconds_per_image"] = .number(
            try mean(tensors) { tensor in
                let rgb = try tensor.selected(0, 0).interleavedBytes()
                let (height, width) = (tensor.size(2), tensor.size(3))
                var edges = [UInt8](repeating: 0, count: height * width)
                return median(rounds) { _ = cascade_canny(rgb, height, width, 100, 200, &edges, nil, 0) }
            })
    }
    print(JSON.object(result).text())
} catch {
    let text = "error: \(error)\n"
    _ = write(STDERR_FILENO, text, text.utf8.count)
    exit((error as? Failure)?.blame == .input ? 2 : 1)
}

/// Seconds of a call: the median of so many, after one that opens networks and takes memory.
func median(_ rounds: Int, _ call: () throws -> Void) rethrows -> Double {
    try call()
    let seconds = try (0..<rounds).map { _ in
        let elapsed = try ContinuousClock().measure(call)
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    }
    return seconds.sorted()[rounds / 2]
}

func mean(_ tensors: [Tensor], _ seconds: (Tensor) throws -> Double) rethrows -> Double {
    try tensors.map(seconds).reduce(0, +) / Double(tensors.count)
}
