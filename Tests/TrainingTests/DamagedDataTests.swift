import Failures
import Foundation
import TestSupport
import Testing
import Training

extension TrainingRuns {
    /// Data of which a part or all is of no use.
    @Suite struct DamagedData {
        /// The packed images with some of their bytes changed in place; the tar itself stays whole.
        private func data(images broken: Set<Int>, captions: Set<Int>, in scratch: Scratch) throws -> String {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: TinyWorld.shared().data))
            var start = bytes.startIndex
            for index in 0..<12 {
                let image = try #require(bytes.range(of: Data([0x89, 0x50, 0x4E, 0x47]), in: start..<bytes.endIndex))
                if broken.contains(index) { bytes.replaceSubrange(image, with: Data(count: 4)) }
                let text = Data("a dog number \(index)".utf8)
                let caption = try #require(bytes.range(of: text, in: image.upperBound..<bytes.endIndex))
                if captions.contains(index) {
                    bytes.replaceSubrange(caption, with: Data(repeating: 0xFF, count: caption.count))
                }
                start = caption.upperBound
            }
            try bytes.write(to: URL(fileURLWithPath: scratch["damaged.tar"]))
            return scratch["damaged.tar"]
        }

        @Test(arguments: ["true", "false"])
        func `broken samples are left out and counted`(cached: String) throws {
            let run = try Run(.lora)
            let data = try data(images: [0, 7], captions: [3], in: run.scratch)
            let changes = ["webdataset_path": data, "cache_in_memory": cached]
            let outcome = try #require(try run(changes.merging(["updates": "4"]) { $1 }))
            #expect(outcome.isComplete && outcome.updates == 4)
            #expect(outcome.drops.samples["image can't be decoded"] ?? 0 >= 2)
            let report = try #require(run.lines.first { $0.hasPrefix("left out of the data: ") })
            #expect(report.contains("image can't be decoded") && report.contains("UTF-8"), "\(report)")

            let parts = try Run(.lora)
            try parts(changes.merging(["updates": "2"]) { $1 })
            try parts(changes.merging(["updates": "4"]) { $1 })
            #expect(try parts.bytes(parts.weights) == run.bytes(run.weights))
        }

        @Test func `a tar cut short gives what it has`() throws {
            let run = try Run(.lora)
            let bytes = try run.bytes(TinyWorld.shared().data)
            // In the middle of a header; a cut between two members would be a whole tar without its end.
            try bytes.prefix(19_780).write(to: URL(fileURLWithPath: run.scratch["cut.tar"]))
            let outcome = try #require(try run(["webdataset_path": run.scratch["cut.tar"]]))
            #expect(outcome.isComplete)
            #expect(
                run.lines.contains { $0.hasPrefix("left out of the data: ") && $0.contains("cut off") }, "\(run.lines)")
        }

        @Test func `data without anything of use ends with the counts`() throws {
            let run = try Run(.lora)
            let data = try data(images: Set(0..<7), captions: Set(7..<12), in: run.scratch)
            let failure = try run.failure(["webdataset_path": data])
            #expect(failure.blame == .input && failure.place?.file == data)
            #expect(failure.got?.contains("7 image can't be decoded") == true, "\(failure)")
            #expect(failure.got?.contains("5 ") == true && failure.got?.contains("UTF-8") == true, "\(failure)")
            #expect(failure.advice?.contains("dataset inspect") == true)
        }

        @Test func `images under min_image_size are left out, the validation ones too`() throws {
            let run = try Run(.lora)
            let failure = try run.failure(["min_image_size": "65"])
            #expect(failure.blame == .input && failure.got == "12 image is too small", "\(failure)")
            let held = try run.failure(TinyWorld.shared().heldOut.merging(["min_image_size": "65"]) { $1 })
            #expect(held.what.contains("validation") && held.got == "0", "\(held)")
            #expect(try #require(try Run(.lora)(["min_image_size": "64", "updates": "1"])).drops.isEmpty)
        }

        @Test func `filters that leave nothing end the run with the counts`() throws {
            let run = try Run(.lora)
            let failure = try run.failure(["dataset_filters": "[[width, 'lambda w: w >= 768']]"])
            #expect(failure.blame == .input)
            #expect(failure.got == "12 no json", "\(failure)")
        }

        @Test func `data that is not there is named`() throws {
            let run = try Run(.lora)
            let failure = try run.failure(["webdataset_path": run.scratch["none.tar"]])
            #expect(failure.blame == .input && "\(failure)".contains(run.scratch["none.tar"]))
            let empty = try run.scratch.write("", to: "empty.tar")
            #expect(try run.failure(["webdataset_path": empty]).blame == .input)
        }

        @Test func `one held-out image is too little`() throws {
            let run = try Run(.lora)
            try TinyWorld.pack(TinyWorld.images(1, seed: 0), to: run.scratch["one.tar"])
            let failure = try run.failure(["validation_path": run.scratch["one.tar"]])
            #expect(failure.blame == .input && failure.place?.file == run.scratch["one.tar"])
            #expect(failure.expected?.contains("2 images") == true)
        }
    }
}
