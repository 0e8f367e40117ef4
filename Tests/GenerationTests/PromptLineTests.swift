import Failures
import Generation
import TestSupport
import Testing

@Suite struct PromptLineTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func `a line has the options of kohya's scripts`() throws {
        let path = try scratch.write(
            "# prompts\n\na dog on a beach --n blurry, bad --w 640 --h 512 --d 7 --l 3.5 --s 12\r\nplain\n",
            to: "prompts.txt")
        let lines = try PromptLine.read(path)
        #expect(lines.count == 2)
        #expect(lines[1].prompt == "plain" && lines[1].width == nil)
        let line = try PromptLine("a dog --n blurry, bad --w 640 --h 512 --d 7 --l 3.5 --s 12", at: .init("x"))
        #expect(line.prompt == "a dog" && line.negative == "blurry, bad" && line.width == 640 && line.height == 512)
        #expect(line.seed == 7 && line.guidance == 3.5 && line.steps == 12)
    }

    @Test(arguments: ["--w 3", "a --w x", "a --s 0", "a --q 3", "a --d -1", "a --l nan"])
    func `a line that cannot be meant is refused by its number`(line: String) throws {
        let path = try scratch.write("first\n\(line)\n", to: "prompts.txt")
        let failure = try expectedFailure { _ = try PromptLine.read(path) }
        #expect(failure.blame == .input && failure.place?.line == 2, "\(failure)")
    }
}
