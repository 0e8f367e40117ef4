import AdapterKit
import CannyFilter
import EdgeFilter
import IdentityFilter
import InpaintFilter
import LearnedTokens
import LoRA
import PoseFilter
import QRFilter
import SuperResolutionFilter

extension CascadeAdapt {
    /// The filters and kinds of adapter of this repository.
    public static let plugIns = PlugIns(
        filters: [
            CannyFilter.self,
            PidiFilter.self,
            InpaintFilter.self,
            QRFilter.self,
            SRFilter.self,
            SREffnetFilter.self,
            IdentityFilter.self,
            PoseFilter.self,
        ],
        adapters: [
            LoRA.kind,
            LearnedTokens.kind,
        ])
}
