import AdapterKit
import AdapterTesting
import Failures
import LearnedTokens
import LoRA
import TestSupport
import Testing
import Torch
import Weights

/// The adapters that keep one contract, each as a configuration asks for it; a new one is added here.
enum AdapterCase: String, CaseIterable {
    case loraFromReference = "{module_filters: [.attn, channelwise], rank: 2, lora_alpha: 3, lora_init: reference}"
    case loraFromKaiming = "{module_filters: [.attn, channelwise], rank: 2, lora_alpha: 3, lora_init: kaiming}"
    case loraOfConvolutions = """
        {module_filters: [depthwise, embedding, scalers, clf], rank: 12, lora_alpha: 3, lora_init: kaiming}
        """
    case loraOfText = """
        {module_filters: [.attn], text_module_filters: [self_attn, mlp.fc, text_projection], rank: 2, lora_alpha: 3,
         lora_init: kaiming, lora_dropout: 0.3}
        """
    case tokens = "{train_tokens: [['^dog</w>$', null], ['^a</w>$', null]]}"
    case scale = """
        {adapter_method: scale, module_filters: [.attn, channelwise, depthwise, clf], text_module_filters: [mlp.fc]}
        """

    private var kind: any AdapterKind {
        switch self {
        case .loraFromReference, .loraFromKaiming, .loraOfConvolutions, .loraOfText: LoRA.kind
        case .tokens: LearnedTokens.kind
        case .scale: ChannelScale.kind
        }
    }

    var contract: AdapterContract { AdapterContract(kind, configuration: rawValue) }
}

@Suite struct AdapterContractTests {
    @Test(arguments: AdapterContract.Check.allCases, AdapterCase.allCases)
    func `every adapter keeps the contract`(_ check: AdapterContract.Check, _ adapterCase: AdapterCase) throws {
        try adapterCase.contract(check)
    }

    @Test(arguments: [
        ["format": "pt"], ["format": AdapterFile.format], ["format": AdapterFile.format, "format_version": "2"],
    ])
    func fileOfAnotherFormatIsRefused(metadata: [String: String]) throws {
        let scratch = try Scratch()
        try SafetensorsWriter.write([("a", try .zeros([1]))], metadata: metadata, to: scratch["other"])
        let failure = try #require(throws: Failure.self) { _ = try AdapterFile(scratch["other"]) }
        #expect(failure.blame == .input && failure.place?.file == scratch["other"])
    }
}
