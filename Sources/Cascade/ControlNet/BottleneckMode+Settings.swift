import Settings

extension ControlNetTrunk.BottleneckMode: SettingReadable {}
