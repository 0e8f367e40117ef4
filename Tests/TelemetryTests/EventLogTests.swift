import Files
import Foundation
import Testing

/// TensorBoard's event files, read by the reader of this folder; `make logs` reads them with TensorBoard's own.
@Suite struct EventFiles {
    /// The scalars and images of an event, by tag.
    private func values(_ event: Message) throws -> [String: Message] {
        try Dictionary(uniqueKeysWithValues: event.message(5).messages(1).map { ($0.texts(1)[0], $0) })
    }

    @Test func `every number and image of an update stands under its step`() throws {
        let folder = try LogFolder()
        try folder.log(1...4, resumeAfter: 0)
        let files = try folder.events()
        let all = try #require(files.first)
        #expect(files.count == 1 && all.count == 7)
        #expect(all[0].texts(3) == ["brain.Event:2"])
        #expect(all[1].integer(2) == 1)
        #expect(try all[1].message(7).integer(1) == 1)
        #expect(try values(all[2])["validation_loss"]?.float(2) == 0.75)
        #expect(all[2...].map { $0.integer(2) } == [0, 1, 2, 3, 4])
        let times = all.compactMap { $0.double(1) }
        #expect(times.count == 7 && times == times.sorted() && times[0] > 1_700_000_000)
        for (step, event) in all.enumerated().dropFirst(3).map({ ($0 - 2, $1) }) {
            let values = try values(event)
            let entry = LogFolder.entry(step)
            #expect(values["loss"]?.float(2) == Float(1 / Double(step)))
            #expect(values["raw_loss"]?.float(2)?.isNaN == (step == 3))
            #expect(values["lr"]?.float(2) == 1e-4)
            #expect(values["validation_loss"]?.float(2) == (step % 2 == 0 ? Float(0.5 / Double(step)) : nil))
            #expect(values.count == (step % 2 == 0 ? 9 : 7))
            let image = try values["preview"]?.message(4)
            #expect(image?.integer(1) == (step % 2 == 0 ? 8 : nil))
            #expect(image?.integer(2) == (step % 2 == 0 ? 12 : nil))
            #expect(image?.bytes(4) == (step % 2 == 0 ? [entry.images[0].jpeg] : nil))
        }
    }

    @Test func `a run that goes on cuts what it writes again, and says where it starts`() throws {
        let folder = try LogFolder()
        try folder.log(1...4, resumeAfter: 0, isFinished: false)
        // Torn amidst an image.
        let path = folder.scratch["tensorboard/\(try folder.names("tensorboard")[0])"]
        try writeAtomically(Array(readFile(path).dropLast(5)), to: path)
        try folder.log(4...5, resumeAfter: 3)
        try folder.log(3...4, resumeAfter: 2)
        let files = try folder.events()
        #expect(files.map { $0.filter { !$0[5].isEmpty }.compactMap { $0.integer(2) } } == [[0, 1, 2], [3, 4]])
        #expect(files.map { $0[1].integer(2) } == [1, 3])
        try folder.log(1...1, resumeAfter: 0)
        #expect(try folder.events().map { $0.compactMap { $0.integer(2) } } == [[0, 1, 0, 1]])
    }

    @Test func `a file that is not ours is cut to nothing, and a later one comes behind it by name`() throws {
        let folder = try LogFolder()
        try FileManager.default.createDirectory(
            atPath: folder.scratch["tensorboard"], withIntermediateDirectories: true)
        try folder.scratch.write("not a record at all", to: "tensorboard/events.out.tfevents.9000000000.there.1.0")
        try folder.log(3...3, resumeAfter: 2)
        let names = try folder.names("tensorboard")
        #expect(names.count == 1)
        #expect(names[0].hasPrefix("events.out.tfevents.9000000001."))
    }
}
