// Losses over softmax. Each is a weighted sum over rows, returned in Double; a row of weight 0 is masked: it is neither
// read nor given a gradient. The weight carries whatever the mean is over. A logit of -infinity is a column that cannot
// be; its target must be 0.

/// The loss: sum over rows of weight · -log softmax(logits)[class]. logits is rows × width, classes and weights rows;
/// logSums (rows) is kept for the way back.
public func crossEntropy(
    _ logits: Span<Float>, classes: Span<Int32>, weights: Span<Float>,
    logSums: inout MutableSpan<Float>, rows: Int, width: Int
) -> Double {
    precondition(
        logits.count == rows * width && classes.count == rows && weights.count == rows
            && logSums.count == rows, "shapes of a cross-entropy")
    var loss = 0.0
    for row in 0..<rows where weights[row] != 0 {
        let line = logits.extracting(row * width..<(row + 1) * width)
        logSums[row] = logSumExp(line)
        loss += Double(weights[row]) * Double(logSums[row] - line[Int(classes[row])])
    }
    return loss
}

/// Adds to dLogits: weight · (softmax - one at the class).
public func crossEntropyBackward(
    _ logits: Span<Float>, classes: Span<Int32>, weights: Span<Float>, logSums: Span<Float>,
    dLogits: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(
        logits.count == rows * width && dLogits.count == logits.count && classes.count == rows
            && weights.count == rows && logSums.count == rows, "shapes of a cross-entropy")
    var shares = [Float](repeating: 0, count: width)
    for row in 0..<rows where weights[row] != 0 {
        let line = logits.extracting(row * width..<(row + 1) * width)
        var share = shares.mutableSpan
        exponentials(of: line, shift: logSums[row], into: &share)
        let weight = weights[row]
        for column in 0..<width { dLogits[row * width + column] += weight * share[column] }
        dLogits[row * width + Int(classes[row])] -= weight
    }
}

/// The loss against soft targets (rows × width, of any sum): sum over rows of weight · sum of -target · log softmax.
public func softCrossEntropy(
    _ logits: Span<Float>, targets: Span<Float>, weights: Span<Float>,
    logSums: inout MutableSpan<Float>, rows: Int, width: Int
) -> Double {
    precondition(
        logits.count == rows * width && targets.count == logits.count && weights.count == rows
            && logSums.count == rows, "shapes of a cross-entropy")
    var loss = 0.0
    for row in 0..<rows where weights[row] != 0 {
        let start = row * width
        logSums[row] = logSumExp(logits.extracting(start..<start + width))
        var line = 0.0
        for index in start..<start + width where targets[index] != 0 {
            line += Double(targets[index]) * Double(logSums[row] - logits[index])
        }
        loss += Double(weights[row]) * line
    }
    return loss
}

/// Adds to dLogits: weight · (sum of targets · softmax - target).
public func softCrossEntropyBackward(
    _ logits: Span<Float>, targets: Span<Float>, weights: Span<Float>, logSums: Span<Float>,
    dLogits: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(
        logits.count == rows * width && targets.count == logits.count
            && dLogits.count == logits.count && weights.count == rows && logSums.count == rows,
        "shapes of a cross-entropy")
    var shares = [Float](repeating: 0, count: width)
    for row in 0..<rows where weights[row] != 0 {
        let start = row * width
        var share = shares.mutableSpan
        exponentials(
            of: logits.extracting(start..<start + width), shift: logSums[row], into: &share)
        let weight = weights[row]
        var total: Float = 0
        for column in 0..<width { total += targets[start + column] }
        for column in 0..<width {
            dLogits[start + column] += weight * (total * share[column] - targets[start + column])
        }
    }
}

/// The loss of an expectation (TCA4Rec): sum over rows of weight · -log(sum of target · softmax). targetLogSums (rows)
/// is the log of the sum of target · exp(logit). Targets are not negative; a row whose targets are all 0 costs
/// infinity.
public func expectationLoss(
    _ logits: Span<Float>, targets: Span<Float>, weights: Span<Float>,
    logSums: inout MutableSpan<Float>, targetLogSums: inout MutableSpan<Float>, rows: Int,
    width: Int
) -> Double {
    precondition(
        logits.count == rows * width && targets.count == logits.count && weights.count == rows
            && logSums.count == rows && targetLogSums.count == rows, "shapes of a loss")
    var loss = 0.0
    var joint = [Float](repeating: 0, count: width)
    for row in 0..<rows where weights[row] != 0 {
        let start = row * width
        for column in 0..<width {
            let target = targets[start + column]
            joint[column] =
                target > 0
                ? logits[start + column] + Float(Libm.log(Double(target))) : -.infinity
        }
        logSums[row] = logSumExp(logits.extracting(start..<start + width))
        targetLogSums[row] = logSumExp(joint.span)
        loss += Double(weights[row]) * Double(logSums[row] - targetLogSums[row])
    }
    return loss
}

/// Adds to dLogits: weight · (softmax - posterior), the posterior being target · exp(logit) over its sum.
public func expectationLossBackward(
    _ logits: Span<Float>, targets: Span<Float>, weights: Span<Float>, logSums: Span<Float>,
    targetLogSums: Span<Float>, dLogits: inout MutableSpan<Float>, rows: Int, width: Int
) {
    precondition(
        logits.count == rows * width && targets.count == logits.count
            && dLogits.count == logits.count && weights.count == rows && logSums.count == rows
            && targetLogSums.count == rows, "shapes of a loss")
    var shares = [Float](repeating: 0, count: width)
    for row in 0..<rows where weights[row] != 0 && targetLogSums[row] > -.infinity {
        let start = row * width
        var share = shares.mutableSpan
        exponentials(
            of: logits.extracting(start..<start + width), shift: logSums[row], into: &share)
        let weight = weights[row]
        let odds = Float(Libm.exp(Double(logSums[row] - targetLogSums[row])))
        for column in 0..<width {
            let posterior = share[column] * targets[start + column] * odds
            dLogits[start + column] += weight * (share[column] - posterior)
        }
    }
}
