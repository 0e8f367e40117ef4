import AdapterKit
import AdapterTesting
import CannyFilter
import EdgeFilter
import Failures
import IdentityFilter
import InpaintFilter
import PoseFilter
import QRFilter
import Settings
import SuperResolutionFilter
import TestSupport
import Testing
import Torch

/// What every filter keeps; a new one is added here.
private let plugIns = PlugIns(
    filters: [
        CannyFilter.self, PidiFilter.self, IdentityFilter.self, InpaintFilter.self, PoseFilter.self, QRFilter.self,
        SRFilter.self, SREffnetFilter.self, SketchFilter.self,
    ], adapters: [])

@Suite struct FilterContractTests {
    static let names = plugIns.filters.map { $0.name }

    /// What filters cannot do without: files, and for networks with drawn weights faces of any size.
    private func needs(_ name: String) throws -> [String: String] {
        switch name {
        case "SREffnetFilter": ["effnet_checkpoint_path": try DrawnEncoder.path()]
        case "IdentityFilter":
            ["detector": Golden.file("faces.onnx"), "recognizer": Golden.file("identities.onnx"), "min_face": "1"]
        case "PidiFilter": ["weights": Golden.file("pidinet_narrow.pth")]
        case "PoseFilter":
            ["weights": Golden.file("pose_corners.caffemodel"), "description": Golden.file("pose_corners.prototxt")]
        default: [:]
        }
    }

    private func contract(_ name: String) throws -> FilterContract {
        let filter = try #require(plugIns.filters.first { $0.name == name })
        var contract = FilterContract(filter)
        contract.needs = try needs(name)
        contract.fixed = name == "IdentityFilter" ? "p_drop: 0, p_full: 0" : ""
        contract.isEncoder = ["SREffnetFilter", "IdentityFilter"].contains(name)
        return contract
    }

    @Test(arguments: names, FilterContract.Check.allCases)
    func `every filter keeps the contract`(_ name: String, _ check: FilterContract.Check) async throws {
        try await contract(name)(check)
    }

    @Test func anUnknownFilterIsRefusedWithTheNearestName() throws {
        let failure = try #require(throws: Failure.self) {
            try plugIns.filter("CannyFilte", parameters: .parse("", file: "a"))
        }
        #expect(failure.blame == .input && failure.expected == Self.names.joined(separator: ", "))
        #expect(failure.advice == "did you mean `CannyFilter`?")
    }
}
