// swift-tools-version: 6.2
import PackageDescription

// A package of its own that adds a filter and a kind of adapter, and makes images. Elsewhere than here, the dependency is
// `.package(url: "REPOSITORY", branch: "main")` or a path.
let package = Package(
    name: "sketch",
    dependencies: [.package(name: "cascade-adapt", path: "../..")],
    targets: [
        .executableTarget(
            name: "cascade-sketch",
            dependencies: [
                .product(name: "AdapterKit", package: "cascade-adapt"),
                .product(name: "CascadeAdapt", package: "cascade-adapt"),
            ]),
        .executableTarget(
            name: "cascade-images",
            dependencies: [
                .product(name: "CascadeAdapt", package: "cascade-adapt"),
                .product(name: "Generation", package: "cascade-adapt"),
            ]),
        .testTarget(
            name: "SketchTests",
            dependencies: ["cascade-sketch", .product(name: "AdapterTesting", package: "cascade-adapt")]),
    ]
)
