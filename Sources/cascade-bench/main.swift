import Failures
import Glibc
import Images
import Torch

// cascade-bench lora|controlnet|stage-c|stage-b [--updates N] [--threads N] [--device D] [--dtype float32|bfloat16]
//                    [--compute float32|bfloat16] [--checkpointing] [--dropout RATE] [--large]
// cascade-bench products [--threads N] [--dtype float32|bfloat16]
// cascade-bench optimizer [NAME] [--steps N] [--threads N] [--device D]
// cascade-bench load FILE [--touch] [--threads N]
// cascade-bench data PATH... [--size N] [--batch N] [--workers N] [--samples N] [--shuffle N] [--float] [--full]
// cascade-bench images PATH… [--size N] [--ratios 1/1,9/16,…] [--batch N] [--scaled] [--output FOLDER]
//
// Prints one JSON line. Without OpenCV, and with the engine opened only where it is used, so that the program can be
// carried to a machine that has a libtorch and an engine compiled for it (CASCADE_ENGINE names the engine).
do {
    var arguments = CommandLine.arguments.dropFirst()
    switch arguments.popFirst() {
    case "lora": print(try LoRAUpdate.run(UpdateOptions(&arguments)).text())
    case "controlnet": print(try ControlNetUpdate.run(UpdateOptions(&arguments)).text())
    case "stage-c": print(try StageCUpdate.run(UpdateOptions(&arguments)).text())
    case "stage-b": print(try StageBUpdate.run(UpdateOptions(&arguments)).text())
    case "products": print(try ProductRate(&arguments).run().text())
    case "optimizer": print(try OptimizerSteps(&arguments).run().text())
    case "load": print(try WeightLoading(&arguments).run().text())
    case "data": print(try DataLoading(&arguments).run().text())
    case "images": print(try Images(&arguments).run().text())
    case let name:
        throw Failure.input(
            "unknown benchmark",
            expected: "lora, controlnet, stage-c, stage-b, products, optimizer, load, data or images",
            got: name ?? "none")
    }
} catch {
    let text = "error: \(error)\n"
    _ = write(STDERR_FILENO, text, text.utf8.count)
    exit((error as? Failure)?.blame == .input ? 2 : 1)
}

extension UpdateOptions {
    init(_ arguments: inout ArraySlice<String>) throws {
        self.init()
        while let option = arguments.popFirst() {
            if option == "--checkpointing" || option == "--large" {
                if option == "--large" { isLarge = true } else { isCheckpointing = true }
                continue
            }
            guard let value = arguments.popFirst() else { throw Failure.input("\(option) lacks its value") }
            switch option {
            case "--updates": updates = max(1, Int(value) ?? updates)
            case "--threads": threads = Int(value)
            case "--device": device = try Device(parsing: value)
            case "--dtype": dtype = value == "float32" ? .float32 : .bfloat16
            case "--compute": computeDType = value == "float32" ? .float32 : .bfloat16
            case "--dropout": dropout = Double(value) ?? dropout
            default: throw Failure.input("unknown option", got: option)
            }
        }
    }
}

extension WeightLoading {
    init(_ arguments: inout ArraySlice<String>) throws {
        guard let path = arguments.popFirst() else { throw Failure.input("load lacks its file") }
        self.init(path: path)
        while let option = arguments.popFirst() {
            switch option {
            case "--touch": touches = true
            case "--threads": threads = arguments.popFirst().flatMap(Int.init)
            default: throw Failure.input("unknown option", got: option)
            }
        }
    }
}

extension DataLoading {
    init(_ arguments: inout ArraySlice<String>) throws {
        self.init()
        while let argument = arguments.popFirst() {
            guard argument.hasPrefix("--") else {
                paths.append(argument)
                continue
            }
            if argument == "--float" || argument == "--full" {
                if argument == "--float" { makesFloats = true } else { isScaled = false }
                continue
            }
            guard let number = arguments.popFirst().flatMap(Int.init), (1...1_000_000).contains(number) else {
                throw Failure.input("\(argument) lacks its number", expected: "1 to 1000000")
            }
            switch argument {
            case "--size": size = number
            case "--batch": batchSize = number
            case "--workers": workers = number
            case "--samples": samples = number
            case "--shuffle": shuffleBuffer = number
            default: throw Failure.input("unknown option", got: argument)
            }
        }
        if paths.isEmpty { throw Failure.input("data lacks its shards") }
    }
}

extension Images {
    init(_ arguments: inout ArraySlice<String>) throws {
        var paths: [String] = []
        while let path = arguments.first, !path.hasPrefix("--") { paths.append(arguments.removeFirst()) }
        if paths.isEmpty { throw Failure.input("images lacks its tars") }
        self.init(paths: paths)
        while let option = arguments.popFirst() {
            if option == "--scaled" {
                isScaled = true
                continue
            }
            guard let value = arguments.popFirst() else { throw Failure.input("\(option) lacks its value") }
            switch option {
            case "--size": size = Int(value) ?? size
            case "--ratios":
                ratios = try value.split(separator: ",").map { try AspectBuckets.ratio(parsing: String($0)) }
            case "--batch": batchSize = max(1, Int(value) ?? batchSize)
            case "--output": output = value
            default: throw Failure.input("unknown option", got: option)
            }
        }
    }
}
