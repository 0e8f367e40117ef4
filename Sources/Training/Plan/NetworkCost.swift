import Torch

/// What each process of a run sends in an update, and gets of the others.
///
/// A sum over N processes goes round in a ring: each sends 2 (N - 1) / N of it. Of a block that is shared out each sends its
/// part to the others, on average (N - 1) / N of the block, once for a pass forward and once for the pass back; its gradients,
/// where it is trained, come together likewise. Latency is left out: that of a few messages a block.
struct NetworkCost {
    struct Part {
        let name: String
        let bytes: Int
    }

    private(set) var parts: [Part] = []

    var bytes: Int { parts.reduce(0) { $0 + $1.bytes } }

    init(_ plan: TrainingPlan) {
        let run = plan.run
        guard run.processes > 1 else { return }
        let others = Double(run.processes - 1) / Double(run.processes)
        // Those with the most samples decide how many parts there are.
        let own = (run.batchSize + run.processes - 1) / run.processes
        let parts = min(run.accumulation, own)
        let stage = plan.models.shared
        if run.sharesStage, run.trainsWhole {
            self.parts.append(Part(name: "gradients", bytes: Int(others * Double(parts * stage.bytes))))
            let sums = plan.groups.flatMap(\.shapes).reduce(0) { $0 + 4 * run.optimizer.summedNumbers($1) }
            if sums > 0 {
                self.parts.append(Part(name: "sums of the optimizer", bytes: Int(2 * others * Double(sums))))
            }
        } else {
            self.parts.append(Part(name: "gradients", bytes: Int(2 * others * Double(4 * plan.trainable))))
        }
        if run.sharesStage {
            let size = run.trainsWhole ? run.weightsDType.size : DType.float32.size
            let gathered = Double(parts * stage.gathered(isFrozen: !run.trainsWhole) * size / DType.float32.size)
            self.parts.append(Part(name: "blocks", bytes: Int(others * gathered)))
        }
    }

    /// What that takes, in seconds.
    /// - Parameter speed: of the network, in bits a second.
    func seconds(at speed: Double) -> Double { Double(8 * bytes) / speed }
}
