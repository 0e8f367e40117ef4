import Foundation
import JSON
import TestSupport
import Testing

/// The article that says what modules are called, beside the names that the network of 3.6 billion parameters has.
@Suite struct ModuleNamesTests {
    private static let checkout = String(#filePath.dropLast("/Tests/CommandTests/ModuleNamesTests.swift".count))

    /// A path with its levels, blocks and layers as letters.
    private func pattern(_ path: String) -> String {
        path.replacing(#/(_blocks|_downscalers|_upscalers)\.\d+\.\d+\./#) { "\($0.1).L.I." }
            .replacing(#/\.layers\.\d+\./#) { _ in ".layers.I." }
    }

    @Test func `its tables hold every path, and no other`() throws {
        let article = try String(
            contentsOfFile: "\(Self.checkout)/Sources/AdapterKit/AdapterKit.docc/WhatModulesAreCalled.md",
            encoding: .utf8)
        let written = article.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .map { String($0.dropFirst(3).prefix { $0 != "`" }) }
        let world = try TinyWorld.shared()
        let said = try expectSuccess([
            "plan", "\(Self.checkout)/configs/training/finetune_c_3b_lora.yaml", "--set",
            "webdataset_path=\(world.data)",
            "--set", "clip_text_model_name=\(world.text)", "--set", "text_module_filters=[text_]", "--json",
        ])
        let points = try #require(try JSON.parse(said, file: "plan")["injection_points"]?.arrayValue)
        let names = Set(points.compactMap { $0["name"]?.stringValue }.map(pattern))
        #expect(names.subtracting(written).sorted() == [])
        #expect(Set(written).subtracting(names).sorted() == [])
        #expect(Set(written).count == written.count)
    }
}
