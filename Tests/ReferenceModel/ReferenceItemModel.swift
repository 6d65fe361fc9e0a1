// The item-aware model one text, one history and one answer at a time: nothing of batches, tries, caches or gradients.

extension Reference {
    public struct ItemModel: Sendable {
        public var parameters: Parameters
        public var sizes: BlockSizes
        public var inverseFrequencies: [Float]
        public var intraBlocks: Int
        public var interBlocks: Int
        public var seesItself: Bool

        public init(
            _ parameters: Parameters, _ sizes: BlockSizes, inverseFrequencies: [Float],
            intraBlocks: Int, interBlocks: Int, seesItself: Bool
        ) {
            self.parameters = parameters
            self.sizes = sizes
            self.inverseFrequencies = inverseFrequencies
            self.intraBlocks = intraBlocks
            self.interBlocks = interBlocks
            self.seesItself = seesItself
        }

        private var width: Int { sizes.width }

        private func embedding(_ token: Int) -> [Double] {
            Array(parameters["model.embed_tokens.weight"][token * width..<(token + 1) * width])
        }

        /// States of a text's tokens.
        public func textStates(_ tokens: [Int]) -> [[Double]] {
            var x = tokens.flatMap(embedding)
            for layer in 0..<intraBlocks {
                x = block(
                    x, prefix: "model.layers.\(layer).", parameters, sizes,
                    positions: Array(tokens.indices), inverseFrequencies: inverseFrequencies
                ) { row, key in key <= row }
            }
            return rows(x)
        }

        public func textVector(_ tokens: [Int]) -> [Double] {
            let states = textStates(tokens)
            let mean = (0..<width).map { column in
                states.reduce(0) { $0 + $1[column] } / Double(states.count)
            }
            return rmsNorm(
                mean, gain: parameters["millrace.item_norm.weight"], width: width,
                epsilon: sizes.epsilon)
        }

        /// States of one history's items; with an answer tried after the last, that answer's state as well.
        public func historyStates(
            _ vectors: [[Double]], answer: [Double]? = nil
        ) -> [[Double]] {
            let items = vectors.count
            var x = vectors.flatMap { $0 } + (answer ?? [])
            for layer in intraBlocks..<intraBlocks + interBlocks {
                x = block(
                    x, prefix: "model.layers.\(layer).", parameters, sizes,
                    positions: Array(0..<x.count / width), inverseFrequencies: inverseFrequencies
                ) { row, key in key < row || key == row && row < items && seesItself }
            }
            return rows(
                rmsNorm(
                    x, gain: parameters["model.norm.weight"], width: width,
                    epsilon: sizes.epsilon))
        }

        /// Mean losses of the histories' targets: of the item among all items, and of the whole answer, where the item
        /// is listed. `identity` is added to the text vectors; `summaries` are the tokens before each history, and
        /// `older` the items before it.
        public func losses(
            items: [[Int]], listed: [Bool], identity: [[Double]], histories: [[Int]],
            summaries: [[Int]] = [], older: [[Int]] = []
        ) -> (item: Double, answer: Double) {
            let vectors = zip(items, identity).map { tokens, own in
                zip(textVector(tokens), own).map { $0 + $1 }
            }
            let scale = parameters["millrace.item_scale"][0]
            var (item, answer, targets, answered) = (0.0, 0.0, 0, 0)
            for (number, history) in histories.enumerated() {
                let summary = summaries.isEmpty ? [] : summaries[number]
                let before = front(
                    summary: summary, older: older.isEmpty ? [] : older[number].map { vectors[$0] })
                let inputs = before + history.dropLast().map { vectors[$0] }
                let states = historyStates(inputs)
                for (place, target) in history.dropFirst().enumerated() {
                    let row = before.count + place
                    let logits = vectors.map { scale * weighed(states[row], by: $0) }
                    item += logSumExp(logits) - logits[target]
                    targets += 1
                    guard listed[target] else { continue }
                    answer += answerLoss(
                        items[target], after: Array(inputs[...row]), items: items, listed: listed)
                    answered += 1
                }
            }
            return (item / Double(targets), answer / Double(max(1, answered)))
        }

        /// What stands before a history: one row, where there is a text or an older item.
        public func front(summary: [Int], older: [[Double]]) -> [[Double]] {
            guard !summary.isEmpty || !older.isEmpty else { return [] }
            var row = summary.isEmpty ? Array(repeating: 0, count: width) : textVector(summary)
            guard !older.isEmpty else { return [row] }
            let mean = (0..<width).map { column in
                older.reduce(0) { $0 + $1[column] } / Double(older.count)
            }
            let normed = rmsNorm(
                mean, gain: parameters["millrace.older_norm.weight"], width: width,
                epsilon: sizes.epsilon)
            for column in 0..<width { row[column] += normed[column] }
            return [row]
        }

        /// -log of the probability of writing `target`, one token after the other, among the listed items' texts.
        public func answerLoss(
            _ target: [Int], after vectors: [[Double]], items: [[Int]], listed: [Bool]
        ) -> Double {
            let texts = textStates(target)
            var loss = 0.0
            for length in 1..<target.count {
                let prefix = target[..<length]
                var legal: Set<Int> = []
                for (tokens, isListed) in zip(items, listed)
                where isListed && tokens.count > length && tokens[..<length] == prefix {
                    legal.insert(tokens[length])
                }
                guard legal.count > 1 else { continue }
                let states = historyStates(vectors, answer: texts[length - 1])
                let state = states[states.count - 1]
                let logits = legal.map { weighed(state, by: embedding($0)) }
                loss += logSumExp(logits) - weighed(state, by: embedding(target[length]))
            }
            return loss
        }

        private func rows(_ x: [Double]) -> [[Double]] {
            stride(from: 0, to: x.count, by: width).map { Array(x[$0..<$0 + width]) }
        }
    }
}
