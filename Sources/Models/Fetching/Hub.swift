import Failures
import Glibc
import Web

/// The Hugging Face hub, or the one that `HF_ENDPOINT` names.
public struct Hub: Sendable {
    private let endpoint: String
    private let token: String?

    /// - Parameter variable: reads the environment; an empty text counts as none.
    /// - Throws: a failure of the input where `HF_ENDPOINT` is no address.
    public init(variable: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) throws {
        var endpoint = variable("HF_ENDPOINT").flatMap { $0.isEmpty ? nil : $0 } ?? "https://huggingface.co"
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        do {
            _ = try WebAddress(endpoint)
        } catch var failure as Failure {
            failure.place = Failure.Place("HF_ENDPOINT")
            throw failure
        }
        self.endpoint = endpoint
        token = variable("HF_TOKEN").flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Whether a text can name a repository, `organisation/name`.
    public static func isRepository(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && parts[0] != "models"
            && parts.allSatisfy { part in
                !part.isEmpty && !part.hasPrefix(".")
                    && part.utf8.allSatisfy { byte in
                        let character = Character(Unicode.Scalar(byte))
                        return character.isASCII
                            && (character.isLetter || character.isNumber || "-_.".contains(character))
                    }
            }
    }

    /// A request of a file on the hub's main branch.
    func request(_ repository: String, _ file: String) throws -> WebRequest {
        authorised(WebRequest(try WebAddress("\(endpoint)/\(repository)/resolve/main/\(file)")))
    }

    /// Adds the token, for huggingface.co alone, and what to do where that is not enough.
    func authorised(_ request: WebRequest) -> WebRequest {
        var request = request
        guard request.address.scheme == "https", request.address.host == "huggingface.co" else { return request }
        let licence = "accept the model's licence on its page"
        if let token {
            request.confinedHeaders.append(WebHeader("Authorization", "Bearer \(token)"))
            request.accessAdvice = "\(licence), and see that HF_TOKEN is of the account that did"
        } else {
            request.accessAdvice = "\(licence), and set HF_TOKEN"
        }
        return request
    }
}
