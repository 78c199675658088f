//! `a + b + c + …` leans to the left: its depth is its number of terms. The parser bounds every other depth, but such
//! chains are legitimate at any length, so what walks the tree goes down a chain in a loop. Here for drop, clone,
//! comparison and type.

use super::{Binary, Expr, ExprKind, Span, ValueType};
use crate::parser::functions;

impl Expr {
    /// What it evaluates to.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Paren(expr) | ExprKind::Unary(_, expr) => expr.value_type(),
            ExprKind::Binary(binary) => {
                let (chain, first) = binary.chain();
                let is_scalar = |expr: &Self| expr.value_type() == ValueType::Scalar;
                let all_scalar = is_scalar(first) && chain.iter().all(|link| is_scalar(&link.rhs));
                if all_scalar { ValueType::Scalar } else { ValueType::Vector }
            }
            ExprKind::Aggregate(_) | ExprKind::VectorSelector(_) => ValueType::Vector,
            ExprKind::Call(call) => {
                functions::lookup(call.function).map_or(ValueType::Vector, |function| function.return_type)
            }
            ExprKind::MatrixSelector(_) | ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }

    /// What stands where an expression was taken away.
    pub(in crate::parser) fn placeholder() -> Self {
        Self { span: Span::default(), kind: ExprKind::Number { value: 0.0, duration: false } }
    }
}

impl Binary {
    /// The operations of a chain `((a + b) + c) + d`, outermost first, and its first operand `a`.
    #[must_use]
    pub fn chain(&self) -> (Vec<&Self>, &Expr) {
        let (mut chain, mut first) = (vec![self], &self.lhs);
        while let ExprKind::Binary(binary) = &first.kind {
            chain.push(binary);
            first = &binary.lhs;
        }
        (chain, first)
    }

    fn with_lhs(&self, lhs: Expr) -> Self {
        Self {
            op: self.op,
            return_bool: self.return_bool,
            matching: self.matching.clone(),
            lhs,
            rhs: self.rhs.clone(),
        }
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let mut next = std::mem::replace(&mut self.lhs, Expr::placeholder());
        while let ExprKind::Binary(binary) = &mut next.kind {
            let lhs = std::mem::replace(&mut binary.lhs, Expr::placeholder());
            next = lhs;
        }
    }
}

impl Clone for Binary {
    fn clone(&self) -> Self {
        let (chain, first) = self.chain();
        let mut lhs = first.clone();
        // The link that is a chain's own is made below, from the innermost on; each knows the span of the one within.
        for pair in chain.windows(2).rev() {
            if let [outer, inner] = pair {
                lhs = Expr { span: outer.lhs.span, kind: ExprKind::Binary(Box::new(inner.with_lhs(lhs))) };
            }
        }
        self.with_lhs(lhs)
    }
}

impl PartialEq for Binary {
    fn eq(&self, other: &Self) -> bool {
        let ((left, left_first), (right, right_first)) = (self.chain(), other.chain());
        let links_equal = |(a, b): (&&Self, &&Self)| {
            (a.op, a.return_bool, a.lhs.span) == (b.op, b.return_bool, b.lhs.span)
                && a.matching == b.matching
                && a.rhs == b.rhs
        };
        left.len() == right.len() && left.iter().zip(&right).all(links_equal) && left_first == right_first
    }
}

impl std::fmt::Debug for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // As text, for the derived form would go down the chain by recursion.
        let (chain, first) = self.chain();
        write!(f, "Binary[{first:?}")?;
        for link in chain.iter().rev() {
            write!(f, ", ({:?}, bool {}, {:?}, {:?})", link.op, link.return_bool, link.matching, link.rhs)?;
        }
        f.write_str("]")
    }
}
