import COpenBLAS
import Failures
import Files
import Glibc
import JSON
import Models
import Torch

/// What `doctor` found: the engine, its libtorch, where each side's algebra comes from, what came with the program, models at
/// hand; and what is missing.
struct MachineReport {
    /// What is known once the engine runs.
    private struct Running {
        let path: String
        let libtorch: String
        let version: String
        let builtWith: String
        let cudaDevices: Int
        let threads: Int
        let products: String
    }

    private let running: Running?
    /// Where plain builds look for libtorch, and what is there.
    private let sources: [(name: String, value: String)]
    /// Where the engine looks for libtorch; empty where there is no engine.
    private let searched: [TorchSearch.Place]
    /// The folder of what came with the program.
    private let shipped: String?
    private let miniature: String?
    private let vocabulary: String?
    private let algebra: (product: String, decomposition: String)?
    private let models: [String]

    init() {
        running = (try? Engine.shared()).map { engine in
            Running(
                // at::globalContext(), which lies in libtorch_cpu wherever its BLAS comes from.
                path: engine.path, libtorch: engine.library(of: "_ZN2at13globalContextEv"), version: engine.version,
                builtWith: engine.builtWith, cudaDevices: engine.cudaDevices, threads: engine.threads,
                products: engine.library(of: "sgemm_"))
        }
        sources = Self.libtorchSources()
        searched = Engine.candidates().first(where: fileExists).map { TorchSearch().all(for: EngineFile($0)) } ?? []
        (shipped, miniature, vocabulary) = (Shipped().root, Miniature.folder(), Vocabulary.folder())
        algebra = copenblas_path("sgemm_").flatMap { product in
            copenblas_path("sgesdd_").map { (String(cString: product), String(cString: $0)) }
        }
        models = Self.modelsAtHand()
    }

    var json: JSON {
        [
            "ready": .bool(running != nil),
            "libtorch": [
                "found": .bool(running != nil),
                "engine": running.map { .string($0.path) } ?? .null,
                "library": running.map { .string($0.libtorch) } ?? .null,
                "version": running.map { .string($0.version) } ?? .null,
                "built_with": running.map { .string($0.builtWith) } ?? .null,
                "tried": .array(
                    Engine.attempts.map {
                        ["path": .string($0.path), "problem": $0.problem.map(JSON.string) ?? .null]
                    }),
                "sources": .object(Self.object(sources.map { ($0.name, .string($0.value)) })),
                "searched": .array(
                    searched.map {
                        [
                            "name": .string($0.name), "folder": $0.folder.map { .string($0.path) } ?? .null,
                            "version": $0.folder?.version.map(JSON.string) ?? .null,
                            "problem": $0.problem.map(JSON.string) ?? .null,
                        ]
                    }),
            ],
            "shipped": [
                "folder": shipped.map(JSON.string) ?? .null, "miniature": miniature.map(JSON.string) ?? .null,
                "vocabulary": vocabulary.map(JSON.string) ?? .null,
            ],
            "missing": .array(missing.map(JSON.string)),
            "cuda_devices": running.map { .integer($0.cudaDevices) } ?? .null,
            "threads": running.map { .integer($0.threads) } ?? .null,
            "kernels": running == nil ? .null : Processor.kernels.map(JSON.string) ?? .null,
            "kernels_at_hand": .array(Processor.kernelsAtHand.map(JSON.string)),
            "blas": [
                "engine": ["sgemm_": running.map { .string($0.products) } ?? .null],
                "algebra": [
                    "sgemm_": algebra.map { .string($0.product) } ?? .null,
                    "sgesdd_": algebra.map { .string($0.decomposition) } ?? .null,
                ],
            ],
            "models": .array(models.map(JSON.string)),
        ]
    }

    var lines: [String] {
        var lines = ["engine:"]
        lines += Engine.attempts.map { "  \($0.path): \($0.problem ?? "opened")" }
        lines += ["where the engine looks for libtorch, the first that serves is taken:"] + searched.map(Self.line)
        lines += ["where a build looks for it:"] + sources.map { "  \($0.name): \($0.value)" }
        if let running {
            let same = running.version == running.builtWith
            lines += [
                "libtorch: \(running.version), \(running.libtorch)",
                "  the engine was built with \(running.builtWith)\(same ? "" : ": build it again with this one")",
                "CUDA devices: \(running.cudaDevices)",
                "threads: \(running.threads)",
                "kernels: \(Processor.kernels ?? "unknown") (of \(Processor.kernelsAtHand.joined(separator: ", ")))",
            ]
        } else {
            let isOpen = Engine.attempts.contains { $0.problem == nil }
            lines.append(isOpen ? "libtorch: loaded, but not used" : "libtorch: could not be loaded")
        }
        lines += [
            "matrix products of the engine (sgemm_): \(running?.products ?? "unknown")",
            "algebra (sgemm_): \(algebra?.product ?? "OpenBLAS could not be loaded")",
            "algebra (sgesdd_): \(algebra?.decomposition ?? "OpenBLAS could not be loaded")",
            "what came with the program: \(shipped ?? "not found")",
            "  the miniature: \(miniature ?? "not found")",
            "  CLIP's vocabulary: \(vocabulary ?? "not found")",
            "models: \(models.isEmpty ? "none in models/ or the caches" : "")",
        ]
        lines += models.map { "  \($0)" }
        return lines + (missing.isEmpty ? ["nothing is missing"] : ["missing:"] + missing.map { "  \($0)" })
    }

    private static func line(_ place: TorchSearch.Place) -> String {
        let found = place.folder.map { "torch \($0.version ?? "of an unknown version"), \($0.path)" } ?? ""
        return "  \(place.name): \(place.problem ?? found)"
    }

    /// What is not here that most work needs, each with what to do.
    private var missing: [String] {
        var missing: [String] = []
        if running == nil {
            var advice: String?
            do { _ = try Engine.shared() } catch { advice = (error as? Failure)?.advice }
            missing.append("libtorch" + (advice.map { ": \($0)" } ?? ""))
        }
        if algebra == nil { missing.append("OpenBLAS: install libopenblas0") }
        if miniature == nil || shipped == nil {
            missing.append(
                "configurations and the miniature: install the program with `make install`, or run that of a checkout")
        }
        if vocabulary == nil {
            missing.append(
                "CLIP's vocabulary: `make setup` gets it in a checkout; a text encoder from `models get` has its own")
        }
        return missing
    }

    private static func object(_ members: [(String, JSON)]) -> JSON.Object {
        var object = JSON.Object()
        for (name, value) in members { object[name] = value }
        return object
    }

    private static func libtorchSources() -> [(name: String, value: String)] {
        let named = environment("LIBTORCH") ?? "not set"
        var target = [CChar](repeating: 0, count: 4096)
        let length = readlink(".libtorch", &target, target.count - 1)
        let link =
            length > 0
            ? String(decoding: target.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self) : "no such link here"
        return [("LIBTORCH", named), (".libtorch", link)]
    }

    /// Folders and files in `models/`, repositories in the Hugging Face cache, and what packages shipped.
    private static func modelsAtHand() -> [String] {
        let (cache, packageCache) = (ModelPlaces().cache, ModelPlaces().packageCache)
        func names(_ folder: String) -> [String] { Folder.isFolder(folder) ? (try? Folder.names(folder)) ?? [] : [] }
        return names("models").filter { !$0.hasPrefix(".") }.map { "models/\($0)" }
            + names(cache).filter { $0.hasPrefix("models--") }.map { "\(cache)/\($0)" }
            + names(packageCache).map { "\(packageCache)/\($0)" }
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}
