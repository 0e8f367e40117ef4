import Files
import Images
import JSON
import Testing

/// What `Goldens/write_images.py` wrote.
enum Golden {
    static let folder = String(#filePath.dropLast("ImagesTests/ImageGoldens.swift".count)) + "Goldens/images/"

    static func bytes(_ name: String) throws -> [UInt8] { try readFile(folder + name) }

    static func json(_ name: String) throws -> JSON { try JSON.read(folder + name) }

    /// The size and samples of a PPM (three channels) or PGM (one).
    static func samples(_ name: String) throws -> (width: Int, height: Int, values: [UInt8]) {
        let bytes = try bytes(name)
        let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 3, omittingEmptySubsequences: false)
        let size = try #require(lines.count == 4 ? String(validating: lines[1], as: UTF8.self) : nil)
        let sides = size.split(separator: " ").compactMap { Int($0) }
        try #require(sides.count == 2)
        return (sides[0], sides[1], Array(lines[3]))
    }

    static func image(_ name: String) throws -> Image {
        let (width, height, values) = try samples(name)
        try #require(values.count == width * height * 3)
        return Image(width: width, height: height, pixels: values)
    }

    /// Little-endian float32.
    static func floats(_ name: String) throws -> [Float] {
        try bytes(name).withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: 4).map { start in
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
            }
        }
    }
}

/// The largest difference of two images of one size.
func largestDifference(_ one: Image, _ other: Image) throws -> Int {
    try #require(one.width == other.width && one.height == other.height)
    return zip(one.pixels, other.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
}

/// The mean absolute difference of two images of one size.
func meanDifference(_ one: Image, _ other: Image) throws -> Double {
    try #require(one.width == other.width && one.height == other.height)
    let sum = zip(one.pixels, other.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    return Double(sum) / Double(one.pixels.count)
}

/// Repeatable numbers for damage (a linear congruential generator, Knuth's constants).
struct Damage {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next(below bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }

    /// The bytes with one to four of them changed, or cut off somewhere.
    mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        if next(below: 4) == 0 { return Array(bytes.prefix(next(below: bytes.count))) }
        var bytes = bytes
        for _ in 0...next(below: 4) { bytes[next(below: bytes.count)] = UInt8(next(below: 256)) }
        return bytes
    }
}

extension Damage: RandomNumberGenerator {
    mutating func next() -> UInt64 { UInt64(next(below: 1 << 31)) << 33 ^ UInt64(next(below: 1 << 31)) << 10 }
}
