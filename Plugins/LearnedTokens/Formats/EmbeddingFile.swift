import AdapterKit
import Files
import Weights

/// Files of textual inversion: vectors of a word, and nothing of where they started.
///
/// Sources: AUTOMATIC1111's web UI, `modules/textual_inversion/textual_inversion.py`; diffusers,
/// `loaders/textual_inversion.py`; kohya's sd-scripts, `train_textual_inversion.py`.
enum EmbeddingFile {
    /// A word and the tensor of its vectors, one or several.
    typealias Word = (text: String, entry: TensorEntry)

    static let plain = ForeignFormat("embedding", "token embedding for the text encoder")
    private static let web = ForeignFormat("embedding-a1111", "token embedding as AUTOMATIC1111's web UI writes it")
    private static let diffusers = ForeignFormat("embedding-diffusers", "learned embeddings as diffusers writes them")

    /// The key of a file in ComfyUI's manner, and the one that kohya's scripts write.
    static let vectorKey = "clip_g"
    private static let parametersKey = "emb_params"
    /// `string_to_param` holds the vectors under `*`, `string_to_token` the id of the token's own text.
    private static let (parameters, ids) = ("string_to_param.", "string_to_token.")

    static func format(of file: any NamedTensors) -> ForeignFormat? {
        if [vectorKey, parametersKey].contains(where: { file[$0] != nil }) { return plain }
        if file.entries.contains(where: { $0.name.hasPrefix(parameters) }) { return web }
        return areLearned(file) ? diffusers : nil
    }

    /// Whether each name is a word: in angle brackets, as the examples of diffusers have it, or the one name of the file.
    private static func areLearned(_ file: any NamedTensors) -> Bool {
        func isVector(_ entry: TensorEntry) -> Bool {
            (1...2).contains(entry.shape.count) && entry.dtype.isFloatingPoint && entry.shape.last ?? 0 > 1
        }
        guard !file.entries.isEmpty, file.entries.allSatisfy(isVector) else { return false }
        if file.entries.allSatisfy({ $0.name.hasPrefix("<") && $0.name.hasSuffix(">") }) { return true }
        return file.entries.count == 1 && lastComponent(of: file.path).contains("learned_embeds")
            && !file.entries[0].name.contains(".")
    }

    /// The words of a file; the name of the file is the word where it has none, as the programs that read it do.
    static func words(in file: any NamedTensors) -> (words: [Word], used: Set<String>) {
        let used = Set(file.entries.map(\.name).filter { $0.hasPrefix(ids) })
        if let entry = file[vectorKey] ?? file[parametersKey] {
            return ([(stem(of: file.path), entry)], used.union([entry.name]))
        }
        let vectors = file.entries.filter { $0.name.hasPrefix(parameters) }
        if !vectors.isEmpty {
            let name = stem(of: file.path)
            let words = vectors.enumerated().map { ($0 == 0 ? name : "\(name)-\($0 + 1)", $1) }
            return (words, used.union(vectors.map(\.name)))
        }
        return (file.entries.map { ($0.name, $0) }, Set(file.entries.map(\.name)))
    }

    /// A file's name without folder and ending.
    private static func stem(of path: String) -> String {
        let name = lastComponent(of: path)
        let ending = [".safetensors", ".pt", ".bin"].first(where: name.lowercased().hasSuffix) ?? ""
        return String(name.dropLast(ending.count))
    }
}
