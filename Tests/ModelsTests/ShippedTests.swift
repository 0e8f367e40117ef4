import Files
import Models
import TestSupport
import Testing

/// What comes with the program, as it lies where that is installed.
@Suite struct ShippedTests {
    private let scratch: Scratch
    private let shared: String

    init() throws {
        scratch = try Scratch()
        shared = scratch["prefix/share/cascade-adapt"]
        for file in [
            "configs/training/lora_c_tiny.yaml", "configs/training/both.yaml", "configs/inference/both.yaml",
            "configs/inference/stage_b_3b.yaml", "configs/training/not_in_the_checkout.yaml",
            "examples/miniature/not_in_the_checkout.yaml", "examples/miniature/fernando.yaml",
            "examples/miniature/stage_c.yaml",
            "examples/miniature/stage_c.safetensors",
        ] {
            try Folder.make(parentFolder(of: "\(shared)/\(file)"))
            try writeAtomically("model_version: tiny\n", to: "\(shared)/\(file)")
        }
    }

    private var shipped: Shipped { Shipped(program: scratch["prefix/bin/cascade-adapt"]) }

    @Test(arguments: [
        ("lora_c_tiny", "configs/training/lora_c_tiny.yaml"),
        ("lora_c_tiny.yaml", "configs/training/lora_c_tiny.yaml"),
        ("training/lora_c_tiny", "configs/training/lora_c_tiny.yaml"),
        ("configs/training/not_in_the_checkout.yaml", "configs/training/not_in_the_checkout.yaml"),
        ("both", "configs/training/both.yaml"), ("inference/both", "configs/inference/both.yaml"),
        ("fernando", "examples/miniature/fernando.yaml"), ("miniature/fernando", "examples/miniature/fernando.yaml"),
        ("examples/miniature/not_in_the_checkout.yaml", "examples/miniature/not_in_the_checkout.yaml"),
    ])
    func `a configuration is known by its name and by its path`(name: String, file: String) {
        #expect(shipped.configuration(name, for: .training) == "\(shared)/\(file)")
    }

    @Test func `the command decides where a name stands for two`() {
        #expect(shipped.configuration("both", for: .inference) == "\(shared)/configs/inference/both.yaml")
        #expect(shipped.configuration("both", for: nil) == "\(shared)/configs/training/both.yaml")
        #expect(shipped.configuration("stage_b_3b", for: .training) == "stage_b_3b")
    }

    @Test(arguments: ["none", "/etc/none", "../lora_c_tiny", "training/../../x", "", "/"])
    func `anything else stays as it is written`(name: String) {
        #expect(shipped.configuration(name, for: .training) == name)
        #expect(shipped.path(name) == name)
    }

    @Test func `a file of the user's goes before one that came`() throws {
        let own = try scratch.write("", to: "lora_c_tiny")
        #expect(shipped.configuration(own, for: .training) == own)
    }

    @Test func `paths that shipped configurations write lead to what came`() {
        let path = "examples/miniature/not_in_the_checkout.yaml"
        #expect(shipped.path(path) == "\(shared)/\(path)")
        #expect(shipped.path("examples/nowhere/stage_c.safetensors") == "examples/nowhere/stage_c.safetensors")
        // What is there where the command runs goes before: the tests run in the checkout.
        #expect(shipped.path("examples/miniature/fernando.yaml") == "examples/miniature/fernando.yaml")
        #expect(shipped.path("models/x.safetensors") == "models/x.safetensors")
        #expect(shipped.path("a fox on a blue background") == "a fox on a blue background")
    }

    @Test func `those that came are listed`() {
        #expect(shipped.root == shared)
        #expect(
            shipped.configurations().map(\.name) == [
                "training/both", "training/lora_c_tiny", "training/not_in_the_checkout", "inference/both",
                "inference/stage_b_3b", "miniature/fernando", "miniature/not_in_the_checkout",
            ])
    }
}
