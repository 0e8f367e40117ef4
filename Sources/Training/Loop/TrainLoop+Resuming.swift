/// How a run that was stopped goes on.
extension TrainLoop {
    /// Takes up the last checkpoint, where there is one, and says what has changed since.
    func resume(_ state: inout TrainingState, from folder: RunFolder) throws {
        guard let checkpoint = try folder.last(warn: console.warn) else { return }
        let before = checkpoint.info[RunFolder.inputsKey] ?? .null
        let remarks = try state.task.inputs.changes(since: before, in: folder.path)
        try state.restore(checkpoint, in: folder, log: console.log)
        if let began = state.progress.loader.seed, began != seed {
            console.warn("the samples keep the order of seed \(began), with which the run began")
        }
        if shared?.isWriter ?? true { try folder.settle(checkpoint) }
        console.log("resumed at update \(checkpoint.updates)")
        for remark in remarks { console.warn(remark) }
        if let remark = run.values?.remark { console.log(remark) }
        let changes = ConfigurationChanges(since: checkpoint.info, run.written.json, effective: run.effective)
        if let summary = changes.summary { console.log("changed since then: \(summary)") }
        let wasSeed = checkpoint.info["seed"]?.intValue.map { UInt64(bitPattern: Int64($0)) }
        let isOverOther =
            changes.concernValidation(besides: state.task.trainingKeys) || wasSeed != seed
            || state.task.inputs.hasOtherValidation(since: before)
        if state.progress.validationBefore != nil, isOverOther {
            state.progress.validationBefore = nil
            console.log("the validation loss before this point was measured on other data and is not compared")
        }
        // A run that ended for its bad updates may be tried again.
        state.progress.bad.inARow = min(state.progress.bad.inARow, run.maxBadSteps - 1)
    }
}
