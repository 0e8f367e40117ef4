// swift-tools-version: 6.2
import PackageDescription

// The torch that set-up found (`make setup` makes the link); LIBTORCH overrides it for one build.
let torch = Context.environment["LIBTORCH"] ?? "\(Context.packageDirectory)/.libtorch"

/// A C or C++ door in `Sources/Native`, linked with system libraries.
func door(_ name: String, libraries: [String] = [], c: [CSetting] = [], cxx: [CXXSetting] = []) -> Target {
    .target(
        name: name, path: "Sources/Native/\(name)", cSettings: c, cxxSettings: cxx,
        linkerSettings: libraries.map { .linkedLibrary($0) })
}

/// A Swift library in `Sources`.
func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies)
}

/// A plug-in in `Plugins`: an ordinary target, not a SwiftPM build plug-in.
func plugIn(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name,
        dependencies: [
            "AdapterKit", "Cascade", "Models", "Layers", "Torch", "Weights", "Settings", "JSON", "Failures",
        ] + dependencies,
        path: "Plugins/\(name)")
}

/// A test target in `Tests`.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: dependencies)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// The plug-ins of this repository, each with what it imports beside what all of them do.
let plugIns = [
    plugIn("CannyFilter", ["COpenCV"]),
    plugIn("EdgeFilter", ["COpenCV"]),
    plugIn("IdentityFilter", ["Files", "Inference", "COpenCV", "Images"]),
    plugIn("InpaintFilter", ["COpenCV", "Images"]),
    plugIn("PoseFilter", ["COpenCV", "Inference", "Files"]),
    plugIn("QRFilter", ["COpenCV"]),
    plugIn("SuperResolutionFilter"),
    plugIn("LoRA", ["Files"]),
    plugIn("LearnedTokens", ["Files"]),
]

let package = Package(
    name: "cascade-adapt",
    products: [
        .executable(name: "cascade-adapt", targets: ["cascade-adapt"]),
        .library(name: "CascadeAdapt", targets: ["CascadeAdapt"]),
        // What makes images.
        .library(name: "Generation", targets: ["Generation", "Images"]),
        // What a filter or a kind of adapter of somebody else's imports.
        .library(
            name: "AdapterKit",
            targets: ["AdapterKit", "Models", "Cascade", "Layers", "Weights", "Settings", "Torch", "JSON", "Failures"]),
        // What it is tested with.
        .library(name: "AdapterTesting", targets: ["AdapterTesting"]),
        .library(name: "CTorchEngine", type: .dynamic, targets: ["CTorchEngine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
    ],
    targets: plugIns + [
        // Native doors
        door("CTorch"),
        .target(
            name: "CTorchEngine", path: "Sources/Native/CTorchEngine",
            cxxSettings: [
                .headerSearchPath("../CTorch/include"),
                .unsafeFlags([
                    "-isystem", "\(torch)/include", "-isystem", "\(torch)/include/torch/csrc/api/include",
                    "-std=c++20", "-O3", "-fno-math-errno", "-DNDEBUG",
                ]),
            ],
            linkerSettings: [
                .unsafeFlags([
                    "-L\(torch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(torch)/lib",
                    "-ltorch_cpu", "-lc10",
                ])
            ]),
        door("CArchive", libraries: ["archive"]),
        door("CCurl", libraries: ["curl"]),
        door("CMemory"),
        door("CProcess"),
        door("CYAML", libraries: [":libyaml.a"]),
        door("CPNG", libraries: ["png16"]),
        door("CJPEG", libraries: ["jpeg"]),
        door("CWebP", libraries: ["webp"]),
        // Optimised in debug builds too: tests and debuggers pass every image through it.
        door("CPixels", c: [.unsafeFlags(["-O3"])]),
        door(
            "COpenCV", libraries: ["opencv_core", "opencv_imgproc", "opencv_dnn", "opencv_saliency"],
            cxx: [.unsafeFlags(["-isystem", "/usr/include/opencv4", "-O2"])]),
        door("CONNXRuntime", libraries: ["dl"]),
        door("COpenBLAS", libraries: ["dl"]),
        door("CSHA256"),

        // Underneath everything
        library("Failures", []),
        library("Files", ["CSHA256", "Failures"]),
        library("JSON", ["Files", "Failures"]),
        library("Expressions", ["JSON", "Failures"]),
        library("Torch", ["CTorch", "CMemory", "Files", "Failures"]),
        library("LinearAlgebra", ["COpenBLAS", "Failures"]),

        // Files, images, data, configuration, logs
        library("Weights", ["Torch", "JSON", "Files", "Failures"]),
        library("Settings", ["CYAML", "JSON", "Files", "Failures"]),
        library("Shards", ["CArchive", "Expressions", "Web", "Settings", "JSON", "Files", "Failures"]),
        library("Web", ["CCurl", "JSON", "Files", "Failures"]),
        library("Models", ["Shards", "Web", "JSON", "Files", "Failures"]),
        library("Images", ["CPNG", "CJPEG", "CWebP", "CPixels", "Files", "Failures"]),
        library("Inference", ["COpenCV", "CONNXRuntime", "Files", "Failures"]),
        library("Telemetry", ["JSON", "Files", "Failures"]),
        library("Loading", ["CMemory", "Shards", "Images", "JSON", "Files", "Failures"]),

        // The network and the process that trains it
        library("Optimization", ["Settings", "Torch", "Failures"]),
        library("Layers", ["Weights", "Torch", "Failures"]),
        library("Cascade", ["Layers", "Weights", "Settings", "Torch", "JSON", "Files", "Failures"]),
        library("Diffusion", ["Settings", "Torch", "Failures"]),
        library(
            "AdapterKit",
            ["CPixels", "Models", "Cascade", "Layers", "Weights", "Settings", "Torch", "JSON", "Files", "Failures"]),
        library(
            "AdapterAlgebra",
            ["AdapterKit", "Cascade", "LinearAlgebra", "Weights", "Torch", "JSON", "Files", "Failures"]),
        library(
            "Generation",
            [
                "COpenCV", "AdapterKit", "Models", "Diffusion", "Cascade", "Layers", "Optimization",
                "Images",
                "Weights", "Settings", "Torch", "JSON", "Files", "Failures",
            ]),
        library(
            "Training",
            [
                "Generation", "AdapterKit", "Models", "Optimization", "Diffusion", "Cascade", "Layers", "Weights",
                "Loading", "Shards", "Images", "Expressions", "Settings", "Telemetry", "Web", "Torch", "JSON", "Files",
                "Failures",
            ]),

        // Commands
        library(
            "CascadeAdapt",
            [
                "Training", "Generation", "AdapterAlgebra", "AdapterKit", "Models", "Diffusion", "Cascade", "Layers",
                "Weights", "Loading", "Shards", "Images", "Settings", "Telemetry", "Web", "Torch", "LinearAlgebra",
                "JSON", "Files", "Failures",
                "Expressions", "COpenBLAS", "COpenCV", "CProcess", argumentParser,
            ] + plugIns.map { .target(name: $0.name) }),
        .executableTarget(name: "cascade-adapt", dependencies: ["CascadeAdapt"]),
        .executableTarget(
            name: "cascade-bench",
            dependencies: [
                "LoRA", "AdapterKit", "Diffusion", "Cascade", "Layers", "Optimization", "Loading", "Shards", "Images",
                "Weights", "Settings", "Torch", "JSON", "Files", "Failures",
            ]),
        .executableTarget(
            name: "cascade-filter-bench",
            dependencies: [
                "CascadeAdapt", "AdapterKit", "Generation", "Images", "COpenCV", "Settings", "Torch", "JSON",
                "Failures",
            ]),

        .executableTarget(
            name: "cascade-miniature",
            dependencies: [
                "Cascade", "Layers", "Optimization", "Shards", "Images", "Weights", "Settings", "Telemetry", "Torch",
                "JSON", "Files", "Failures", argumentParser,
            ],
            path: "examples/miniature/Sources/cascade-miniature"),

        // Tests
        .target(
            name: "TestSupport",
            dependencies: [
                "Generation", "Cascade", "Layers", "Weights", "Shards", "Images", "Torch", "JSON", "Failures",
            ],
            path: "Tests/Support"),
        .target(
            name: "AdapterTesting",
            dependencies: [
                "TestSupport", "AdapterKit", "Models", "Optimization", "Cascade", "Layers", "Weights", "Settings",
                "Torch", "JSON", "Failures",
            ],
            path: "Tests/AdapterTesting"),
        tests("Files", ["Files", "CSHA256", "Failures", "TestSupport"]),
        tests("JSON", ["JSON", "Files", "Failures", "TestSupport"]),
        tests("Expressions", ["Expressions", "JSON", "Files", "Failures", "TestSupport"]),
        tests("Torch", ["Torch", "CTorch", "LinearAlgebra", "COpenBLAS", "JSON", "Files", "Failures", "TestSupport"]),
        tests("LinearAlgebra", ["LinearAlgebra", "Failures", "TestSupport"]),
        tests(
            "AdapterAlgebra",
            [
                "AdapterAlgebra", "LoRA", "LearnedTokens", "AdapterKit", "Cascade", "Layers", "LinearAlgebra",
                "Weights", "Torch", "JSON", "Files", "Failures", "TestSupport",
            ]),
        tests("Optimization", ["Optimization", "Settings", "Torch", "Failures", "TestSupport"]),
        tests("Layers", ["Layers", "Weights", "Torch", "Files", "Failures", "TestSupport"]),
        tests("Weights", ["Weights", "Torch", "JSON", "Files", "Failures", "TestSupport"]),
        tests("Settings", ["Settings", "JSON", "Files", "Failures", "TestSupport"]),
        tests("Shards", ["Shards", "Web", "Expressions", "CArchive", "JSON", "Files", "Failures", "TestSupport"]),
        tests("Web", ["Web", "JSON", "Files", "Failures", "TestSupport"]),
        tests(
            "Loading",
            ["Loading", "Shards", "Images", "JSON", "Files", "Failures", "CMemory", "TestSupport"]),
        tests("Images", ["Images", "COpenCV", "JSON", "Files", "Failures", "TestSupport"]),
        tests("Models", ["Models", "Web", "Files", "Failures", "TestSupport"]),
        tests("Inference", ["Inference", "IdentityFilter", "Models", "Files", "Failures", "TestSupport"]),
        tests("Telemetry", ["Telemetry", "JSON", "Files", "Failures", "TestSupport"]),
        tests(
            "Cascade",
            ["Cascade", "Layers", "Weights", "Settings", "Torch", "JSON", "Files", "Failures", "TestSupport"]),
        tests(
            "Generation",
            [
                "Generation", "LoRA", "AdapterKit", "Diffusion", "Cascade", "Layers", "Images", "Weights", "Torch",
                "JSON", "Failures", "TestSupport",
            ]),
        tests("Diffusion", ["Diffusion", "Settings", "Torch", "Failures", "TestSupport"]),
        tests(
            "Plugin",
            [
                "CannyFilter", "EdgeFilter", "IdentityFilter", "InpaintFilter", "QRFilter", "SuperResolutionFilter",
                "LoRA", "PoseFilter",
                "LearnedTokens", "AdapterKit", "AdapterTesting", "Models", "Cascade", "Layers", "Optimization",
                "Weights", "Settings", "Torch", "Images", "COpenCV", "JSON", "Files", "Failures", "TestSupport",
            ]),
        tests(
            "Training",
            [
                "Training", "Generation", "Optimization", "LoRA", "LearnedTokens", "CannyFilter", "AdapterKit",
                "Diffusion", "Cascade",
                "Layers", "Weights", "Loading", "Shards", "Images", "Settings", "Telemetry", "Torch", "JSON",
                "Failures",
                "TestSupport",
            ]),
        tests(
            "Command",
            [
                "CascadeAdapt", "Training", "Generation", "AdapterKit", "Models", "Settings", "IdentityFilter",
                "Weights", "JSON",
                "Torch",
                "Shards", "Images", "Files", "Failures", "TestSupport",
            ]),
        tests("House", []),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11,
    cxxLanguageStandard: .cxx17
)
