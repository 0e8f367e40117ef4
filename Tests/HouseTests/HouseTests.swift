import Foundation
import Testing

/// The direction of imports: the tree keeps it, and every turned arrow is caught.
@Suite struct HouseTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static let house = House(
        doors: ["CTorch", "CTorchEngine", "CYAML", "COpenCV"],
        plugIns: [
            "CannyFilter", "EdgeFilter", "IdentityFilter", "InpaintFilter", "PoseFilter", "QRFilter",
            "SuperResolutionFilter", "LoRA",
            "LearnedTokens",
        ])

    @Test func everyFileKeepsTheDirection() throws {
        let tree = try SourceTree(root: Self.root)
        #expect(tree.complaints == [])
        // The reading itself is held too: an empty tree would have nothing to complain of.
        #expect(Set(tree.swift.map(\.target)).isSuperset(of: House.floors.joined()))
        #expect(tree.house.doors.isSuperset(of: Self.house.doors))
        #expect(tree.house.plugIns.isSuperset(of: Self.house.plugIns))
        #expect(tree.swift.contains { $0.target == "Torch" && $0.names.contains("CTorch") })
        #expect(tree.native.contains { $0.target == "CTorchEngine" && $0.names.contains { $0.hasPrefix("ATen/") } })
    }

    @Test func everyImportIsDeclared() throws {
        let tree = try SourceTree(root: Self.root)
        let manifest = Manifest(
            text: try String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8))
        let outside = House.toolchain.union(["Foundation"])
        for file in tree.swift {
            let declared = try #require(manifest.dependencies[file.target], "\(file.target) is not in Package.swift")
            let undeclared = Set(file.names).subtracting(declared).subtracting(outside)
            #expect(
                undeclared.isEmpty, "\(file.path) imports \(undeclared.sorted()), which Package.swift does not declare")
        }
    }

    @Test func everyImportIsUsed() throws {
        let tree = try SourceTree(root: Self.root)
        let files = try tree.swift.map {
            ($0, try String(contentsOf: Self.root.appending(path: $0.path), encoding: .utf8))
        }
        #expect(UnusedImports(files).complaints == [])
    }

    @Test func anUnusedImportIsCaught() {
        func file(_ target: String, _ text: String) -> (SourceTree.File, String) {
            (SourceTree.File(path: "\(target).swift", target: target, names: SourceTree.imports(in: text)), text)
        }
        let below = file("Below", "public struct Thing {\n    public func move() {}\n    public var count = 0\n}\n")
        let own = file("Own", "import Below\nvar count = 0\n// Thing\n")
        #expect(UnusedImports([below, own]).complaints == ["Own.swift imports Below"])
        for use in ["let thing: Thing", "other.move()"] {
            #expect(UnusedImports([below, file("Own", "import Below\nvar count = 0\n\(use)\n")]).complaints == [])
        }
    }

    @Test func everyDeclarationKeepsTheDirection() throws {
        let tree = try SourceTree(root: Self.root)
        let manifest = Manifest(
            text: try String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8))
        #expect(manifest.dependencies["LoRA"]?.contains("AdapterKit") == true)
        #expect(manifest.dependencies["CascadeAdapt"]?.contains("ArgumentParser") == true)
        for (target, names) in manifest.dependencies {
            #expect(names.compactMap { tree.house.complaint(about: target, importing: $0) } == [])
        }
    }

    @Test func theBenchmarkThatIsCarriedNeedsNoOpenCV() throws {
        let manifest = Manifest(
            text: try String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8))
        var (reached, next): (Set<String>, Set<String>) = ([], ["cascade-bench"])
        while !next.isEmpty {
            reached.formUnion(next)
            next = Set(next.flatMap { manifest.dependencies[$0] ?? [] }).subtracting(reached)
        }
        #expect(reached.isSuperset(of: ["Images", "Torch"]) && !reached.contains("COpenCV"))
    }

    @Test(arguments: [
        ("Torch", "Cascade"), ("Layers", "AdapterKit"), ("Cascade", "Diffusion"), ("Weights", "Settings"),
        ("Diffusion", "Training"), ("AdapterKit", "Generation"), ("Generation", "Training"), ("Failures", "JSON"),
        ("Training", "LoRA"), ("AdapterKit", "CannyFilter"), ("Generation", "LearnedTokens"),
        ("LoRA", "LearnedTokens"), ("CannyFilter", "Training"), ("LoRA", "Generation"),
        ("LearnedTokens", "CascadeAdapt"),
        ("Layers", "CTorch"), ("LoRA", "CTorch"), ("Torch", "CTorchEngine"), ("Cascade", "Foundation"),
        ("Training", "ArgumentParser"), ("Cascade", "Nowhere"), ("Nowhere", "Torch"), ("cascade-bench", "Foundation"),
    ])
    func turnedArrowIsCaught(target: String, module: String) {
        #expect(Self.house.complaint(about: target, importing: module) != nil)
    }

    @Test(arguments: [
        ("Torch", "CTorch"), ("Torch", "Failures"), ("Settings", "CYAML"), ("CannyFilter", "COpenCV"),
        ("LoRA", "AdapterKit"), ("LoRA", "Torch"), ("CascadeAdapt", "LoRA"), ("CascadeAdapt", "Foundation"),
        ("cascade-adapt", "CascadeAdapt"), ("cascade-bench", "LoRA"), ("Training", "Generation"), ("Layers", "Glibc"),
    ])
    func arrowThatPointsDownPasses(target: String, module: String) {
        #expect(Self.house.complaint(about: target, importing: module) == nil)
    }

    @Test(arguments: [
        ("CTorch", "ATen/ATen.h"), ("CTorch", "torch/torch.h"), ("CYAML", "c10/core/Device.h"),
        ("CTorchEngine", "opencv2/core.hpp"), ("CYAML", "opencv2/imgproc.hpp"), ("CYAML", "CTorch.h"),
        ("COpenCV", "../../CYAML/include/CYAML.h"),
    ])
    func foreignHeaderIsCaught(door: String, header: String) {
        #expect(Self.house.complaint(about: door, including: header) != nil)
    }

    @Test(arguments: [
        ("CTorchEngine", "ATen/ATen.h"), ("CTorchEngine", "CTorch.h"), ("COpenCV", "opencv2/core.hpp"),
        ("CYAML", "yaml.h"), ("CYAML", "CYAML.h"),
    ])
    func ownHeaderPasses(door: String, header: String) {
        #expect(Self.house.complaint(about: door, including: header) == nil)
    }

    @Test func importsAreReadInEverySpelling() {
        let text = """
            // import Comment
            /// import Documentation
            import Plain
              import Indented
            @testable import Testable
            @_exported public import Exported
            internal import Internal
            @preconcurrency import struct Kind.Name
            let important = "import String"
            """
        #expect(
            SourceTree.imports(in: text) == ["Plain", "Indented", "Testable", "Exported", "Internal", "Kind"])
    }

    @Test func includesAreReadInEverySpelling() {
        let text = """
            // #include <comment.h>
            #include <ATen/ATen.h>
              #  include "near.h"
            #import "objective.h"
            """
        #expect(SourceTree.includes(in: text) == ["ATen/ATen.h", "near.h", "objective.h"])
    }
}
