import Images
import Testing

@Suite struct Fitting {
    private let buckets: AspectBuckets
    init() throws { buckets = try AspectBuckets(size: 96, ratios: [1, 0.5, 0.75], step: 32) }

    @Test func `a centred fit needs no chance`() {
        var generator = Damage(seed: 1)
        let untouched = generator.next()
        generator = Damage(seed: 1)
        #expect(
            buckets.fit(width: 130, height: 90, .init(), using: &generator) == buckets.fit(width: 130, height: 90))
        #expect(generator.next() == untouched)
    }

    @Test func `a random crop lies anywhere it can`() throws {
        var generator = Damage(seed: 1)
        let square = try AspectBuckets(size: 96, step: 32)
        let centred = square.fit(width: 96, height: 120)
        #expect(centred.resizedHeight == 120 && centred.cropY == 12)
        var offsets: Set<Int> = []
        for _ in 0..<400 {
            let fit = square.fit(width: 96, height: 120, .init(crop: .random), using: &generator)
            #expect(fit.bucket == centred.bucket && fit.resizedHeight == centred.resizedHeight && fit.cropX == 0)
            offsets.insert(fit.cropY)
        }
        #expect(offsets == Set(0...24))
    }

    @Test func `one seed gives one series of fits`() {
        func series() -> [AspectBuckets.Fit] {
            var generator = Damage(seed: 7)
            let choice = AspectBuckets.Choice(crop: .random, randomBucketRatio: 0.5)
            return (0..<50).map { buckets.fit(width: 90 + $0, height: 160, choice, using: &generator) }
        }
        #expect(series() == series())
    }

    @Test(arguments: [0.0, 0.3, 1])
    func `as many images as asked for go to a random bucket`(ratio: Double) {
        var generator = Damage(seed: 3)
        let nearest = buckets.fit(width: 90, height: 90).bucket
        let drawn = (0..<2000).map { _ in
            buckets.fit(width: 90, height: 90, .init(randomBucketRatio: ratio), using: &generator)
        }
        // Of those that chance sends somewhere, one in five comes back to the nearest.
        let elsewhere = drawn.filter { $0.bucket != nearest }
        #expect(abs(Double(elsewhere.count) / 2000 - ratio * 0.8) < 0.04)
        #expect(Set(drawn.map(\.bucket)).count == (ratio == 0 ? 1 : 5))
        for fit in drawn {
            #expect(fit.resizedWidth >= fit.bucket.width && fit.resizedHeight >= fit.bucket.height)
        }
    }

    @Test func `enlargement is how many times longer sides become`() {
        #expect(buckets.fit(width: 192, height: 192).enlargement == 0.5)
        #expect(buckets.fit(width: 48, height: 48).enlargement == 2)
        #expect(buckets.fit(width: 48, height: 5000).enlargement > 1)
    }

    @Test func `a description tells two fits apart`() {
        let fit = buckets.fit(width: 130, height: 90)
        #expect(fit.description == "96x67 96x64+0+2")
        var generator = Damage(seed: 1)
        let smart = buckets.fit(width: 130, height: 90, .init(crop: .smart), using: &generator)
        #expect(smart.description == "96x67 96x64 smart" && smart != fit)
        let moved = shifted(width: 130, height: 90, chance: 1, reach: 0.2, using: &generator)
        #expect(moved.description.wholeMatch(of: /96x67 96x64 smart[+-][0-9]+[+-][0-9]+/) != nil && moved != smart)
    }

    private func shifted(
        width: Int, height: Int, chance: Double, reach: Double, using generator: inout Damage
    ) -> AspectBuckets.Fit {
        var choice = AspectBuckets.Choice(crop: .smart)
        (choice.shiftChance, choice.shiftReach) = (chance, reach)
        return buckets.fit(width: width, height: height, choice, using: &generator)
    }

    @Test func `as many smart cuts as asked for are moved, by no more than asked for`() {
        var generator = Damage(seed: 5)
        let shifts = (0..<2000).map { _ in
            shifted(width: 200, height: 90, chance: 0.3, reach: 0.2, using: &generator).shift
        }
        // 600 ± 4 deviations; of those one in 401 on both axes stays where it was.
        #expect((518...682).contains(shifts.count { $0.x != 0 || $0.y != 0 }))
        #expect(shifts.allSatisfy { abs($0.x) <= 200 && abs($0.y) <= 200 })
        #expect(shifts.contains { $0.x > 150 } && shifts.contains { $0.y < -150 })
    }

    @Test func `a smart cut is moved as far as there is room`() throws {
        let image = scene(width: 192, height: 96, subjectX: 76, subjectY: 30)
        let middle = try smart(image)
        var generator = Damage(seed: 1)
        var choice = AspectBuckets.Choice(crop: .smart)
        (choice.shiftChance, choice.shiftReach) = (1, 1)
        let square = try AspectBuckets(size: 96, step: 32)
        for _ in 0..<20 {
            let fit = square.fit(width: 192, height: 96, choice, using: &generator)
            // The middle is cut at 48 of 0...96; 1/1000 of the width is 0.192.
            let x = min(max(0, 48 + fit.shift.x * 192 / 1000), 96)
            #expect(image.fitted(fit) == image.cropped(x: x, y: 0, width: 96, height: 96))
        }
        #expect(middle == image.cropped(x: 48, y: 0, width: 96, height: 96))
    }

    /// A grey field with a colourful, patterned square somewhere along it.
    private func scene(width: Int, height: Int, subjectX: Int, subjectY: Int) -> Image {
        var pixels = Image(width: width, height: height, colour: (120, 124, 118)).pixels
        for y in subjectY..<(subjectY + 40) {
            for x in subjectX..<(subjectX + 40) {
                let isDark = (x / 5 + y / 5) % 2 == 0
                pixels[(y * width + x) * 3] = isDark ? 200 : 90
                pixels[(y * width + x) * 3 + 1] = isDark ? 30 : 140
                pixels[(y * width + x) * 3 + 2] = isDark ? 60 : 20
            }
        }
        return Image(width: width, height: height, pixels: pixels)
    }

    private func smart(_ image: Image) throws -> Image {
        var generator = Damage(seed: 1)
        let square = try AspectBuckets(size: 96, step: 32)
        return image.fitted(
            square.fit(width: image.width, height: image.height, .init(crop: .smart), using: &generator))
    }

    @Test(arguments: [0, 10, 100, 150])
    func `a smart crop keeps what there is to see, wherever it is`(place: Int) throws {
        let wide = scene(width: 190, height: 96, subjectX: place, subjectY: 30)
        let tall = scene(width: 96, height: 190, subjectX: 30, subjectY: place)
        for cut in try [smart(wide), smart(tall)] {
            let subject = stride(from: 0, to: cut.pixels.count, by: 3).filter { cut.pixels[$0] != 120 }
            #expect(subject.count == 40 * 40, "\(place)")
        }
    }

    @Test func `where nothing stands out the middle is kept`() throws {
        let plain = Image(width: 190, height: 96, colour: (9, 8, 7))
        #expect(try smart(plain) == plain.centreCropped(width: 96, height: 96))
        let even = scene(width: 190, height: 96, subjectX: 75, subjectY: 30)
        #expect(try smart(even) == even.centreCropped(width: 96, height: 96))
    }
}
