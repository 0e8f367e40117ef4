import AdapterKit
import COpenCV
import Settings
import Torch

/// What is bright, dark and between in an image, as large soft blobs: white, black and grey.
///
/// Behaves as the reference's filter of this name in `modules/controlnet.py`, except that every image has the limits
/// of its own brightness; the reference takes those of the batch's first image for all.
public struct QRFilter: ControlFilter {
    /// The filter's name in configurations, that of the reference's class.
    public static let name = "QRFilter"

    /// What `filter list` shows.
    public static let parameters = [
        FilterParameter(
            "resize", type: "whole number or null", default: "224",
            "side of the square in which it works; null works in the image as it is"),
        FilterParameter("blobify", type: "true or false", default: "true", "whether blobs are made of the detail"),
        FilterParameter(
            "dilation_kernels", type: "whole number or list of such", default: "[3, 5, 7]",
            "width of the round element that closes gaps, one of these is chosen at random; a single value is fixed; below 3 "
                + "closes none"),
        FilterParameter(
            "blur_kernels", type: "whole number or list of such", default: "[15]",
            "width of the Gaussian blur, odd or 0 for none, one of these is chosen at random; a single value is fixed"),
        FilterParameter(
            "blur_sigma", type: "number or list of two", default: "[0.1, 2]",
            "deviation of the Gaussian blur in pixels: chosen at random between the two; a single value is fixed"),
    ]

    /// Side of the square in which the filter works; nil leaves the image as it is.
    public let resize: Int?
    /// Whether brightness is blurred and its gaps are closed; else it is only divided into three levels.
    public let isBlobbing: Bool
    /// Widths of the element that closes gaps, one of which is chosen at random; below 3 closes none.
    public let dilationKernels: [Int]
    /// Widths of the Gaussian blur, one of which is chosen at random; 0 is none.
    public let blurKernels: [Int]
    /// Range of the blur's standard deviation, in pixels of the square.
    public let blurSigma: ClosedRange<Double>

    /// Reads the parameters.
    public init(parameters fields: inout Fields) throws {
        resize = try fields.resize()
        isBlobbing = try fields.value("blobify", default: true)
        dilationKernels = try fields.choices("dilation_kernels", default: [3, 5, 7], "from 0 to 101") { 0...101 ~= $0 }
        blurKernels = try fields.choices("blur_kernels", default: [15], "that are 0, or odd and up to 101") {
            $0 == 0 || 1...101 ~= $0 && $0 % 2 == 1
        }
        blurSigma = try fields.range("blur_sigma", default: 0.1...2, within: 0.01...100)
    }

    /// One: 1 where it is bright, 0 where it is dark, 0.5 between.
    public var channels: Int { 1 }

    /// Brightness in three levels, [B, 1, H, W] in 0...1.
    /// - Parameter generator: chooses blur and closing, once for all images of a call.
    public func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let (height, width) = (images.size(2), images.size(3))
        var small = images
        if let resize { small = try small.interpolated(height: resize, width: resize) }
        // The value of hue, saturation and value: the largest channel.
        let channels = try (0..<3).map { try small.sliced(1, $0..<$0 + 1) }
        var brightness = try channels[0].maximum(channels[1]).maximum(channels[2])  // [B, 1, h, w]
        var closing = 0
        if isBlobbing {
            let choice = try Choice(of: self, generator)
            if choice.blur > 0 { brightness = try GaussianBlur(width: choice.blur, sigma: choice.sigma)(brightness) }
            closing = choice.dilation
        }
        let planes = try (0..<brightness.size(0)).map { index in
            var plane = try Plane(brightness.selected(0, index))
            try plane.close(gapsOf: closing)
            return try plane.brightAndDark().tensor()
        }
        let mask = try Tensor.stacked(planes)
        let condition = resize == nil ? mask : try mask.interpolated(height: height, width: width)
        return ControlCondition(
            condition: condition, preview: try condition.expanded([condition.size(0), 3, height, width]))
    }
}

/// What is random, drawn once for all images of a call.
///
/// Always as many numbers are drawn, so that fixing one does not change the others; with all fixed none is, so that an
/// image's condition serves again.
private struct Choice {
    let dilation: Int
    let blur: Int
    let sigma: Double

    init(of filter: QRFilter, _ generator: Generator) throws {
        let (sizes, deviation) = ([filter.dilationKernels.count, filter.blurKernels.count], filter.blurSigma)
        let isFixed = sizes == [1, 1] && deviation.lowerBound == deviation.upperBound
        func draw() throws -> Double { isFixed ? 0 : try generator.uniform() }
        dilation = try filter.dilationKernels.value(at: draw())
        blur = try filter.blurKernels.value(at: draw())
        sigma = try deviation.value(at: draw())
    }
}
