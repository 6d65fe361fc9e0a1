// Softmax, its logarithm and what is trained with them.

#if canImport(Glibc)
    import Glibc
#endif

extension Reference {
    public static func logSumExp(_ x: some Collection<Double>) -> Double {
        let greatest = x.max() ?? -.infinity
        guard greatest > -.infinity else { return -.infinity }
        return greatest + log(x.reduce(0) { $0 + exp($1 - greatest) })
    }

    public static func softmax(_ x: [Double], width: Int) -> [Double] {
        logSoftmax(x, width: width).map { exp($0) }
    }

    public static func logSoftmax(_ x: [Double], width: Int) -> [Double] {
        var y = x
        for start in stride(from: 0, to: x.count, by: max(width, 1)) {
            let sum = logSumExp(x[start..<start + width])
            for i in start..<start + width { y[i] = sum > -.infinity ? x[i] - sum : -.infinity }
        }
        return y
    }

    public static func softmaxGradient(_ dy: [Double], x: [Double], width: Int) -> [Double] {
        let y = softmax(x, width: width)
        var dx = x
        for start in stride(from: 0, to: x.count, by: max(width, 1)) {
            let place = start..<start + width
            let mean = weighed(Array(dy[place]), by: Array(y[place]))
            for i in place { dx[i] = y[i] * (dy[i] - mean) }
        }
        return dx
    }

    public static func logSoftmaxGradient(_ dy: [Double], x: [Double], width: Int) -> [Double] {
        let y = softmax(x, width: width)
        var dx = x
        for start in stride(from: 0, to: x.count, by: max(width, 1)) {
            let place = start..<start + width
            let total = place.reduce(0) { x[$1] > -.infinity ? $0 + dy[$1] : $0 }
            for i in place { dx[i] = x[i] > -.infinity ? dy[i] - y[i] * total : 0 }
        }
        return dx
    }

    /// sum over rows of weight · sum over columns of -target · log softmax; a target of 0 costs nothing.
    public static func crossEntropy(
        _ x: [Double], targets: [Double], weights: [Double], width: Int
    ) -> Double {
        let y = logSoftmax(x, width: width)
        return y.indices.reduce(0) {
            let target = targets[$1] * weights[$1 / width]
            return target == 0 ? $0 : $0 - target * y[$1]
        }
    }

    public static func crossEntropyGradient(
        _ x: [Double], targets: [Double], weights: [Double], width: Int
    ) -> [Double] {
        let y = softmax(x, width: width)
        return y.indices.map { i in
            let row = i / width
            let total = targets[row * width..<(row + 1) * width].reduce(0, +)
            return weights[row] == 0 ? 0 : weights[row] * (y[i] * total - targets[i])
        }
    }

    /// sum over rows of weight · -log(sum over columns of target · softmax): the log of an expectation.
    public static func expectationLoss(
        _ x: [Double], targets: [Double], weights: [Double], width: Int
    ) -> Double {
        let y = softmax(x, width: width)
        return weights.indices.reduce(0) { sum, row in
            let place = row * width..<(row + 1) * width
            return weights[row] == 0
                ? sum
                : sum - weights[row]
                    * log(weighed(Array(y[place]), by: Array(targets[place])))
        }
    }
}
