use super::lex::{Line, Token, lex};
use super::{Literal, fill, from_literals};
use crate::op::parse_op;
use crate::{Def, Graph, PortRef, ValueId};
use paring_tensor::{ConstData, DType, Dim, Palette, Quant, Shape, Sparse, Tensor, TensorType};
use std::collections::HashMap;

/// Where a text is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ParseError {
    /// From 1; 0 where the text ends too soon.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// A parsed graph with what its text said besides.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The graph, not verified.
    pub graph: Graph,
    /// The seeds of constants that were written as `fill(seed=..)`.
    pub fills: HashMap<ValueId, u64>,
    /// The line of each statement, keyed as [`Fault::place`](crate::Fault::place) names things.
    pub lines: HashMap<String, usize>,
}

/// Parses a graph whose text needs no blobs.
///
/// # Errors
/// The first thing that is wrong with the text. The graph is not verified: a text can say things that
/// [`verify`](crate::verify) refuses.
pub fn parse(text: &str) -> Result<Graph, ParseError> {
    parse_with(text, &no_blobs).map(|p| p.graph)
}

/// Gives the constant that is the blob of a name, element type and shape, or why there is none: no
/// such blob, or a damaged one.
pub type Blobs<'a> = &'a dyn Fn(&str, DType, &[usize]) -> std::result::Result<ConstData, String>;

/// The [`Blobs`] of a text that has none.
///
/// # Errors
/// Always.
pub fn no_blobs(_: &str, _: DType, _: &[usize]) -> std::result::Result<ConstData, String> {
    Err("this text has no blobs beside it".to_owned())
}

/// Parses a graph whose blobs come from `blobs`.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(text: &str, blobs: Blobs<'_>) -> Result<Parsed, ParseError> {
    parse_limited(text, blobs, LARGEST_FILL)
}

/// As [`parse_with`], for texts from files: constants that are not spelled out, such as `splat(0)`,
/// may expand to `limit` bytes in all.
///
/// # Errors
/// As [`parse`].
pub fn parse_limited(text: &str, blobs: Blobs<'_>, limit: usize) -> Result<Parsed, ParseError> {
    let tokens = lex(text).map_err(|(line, why)| ParseError { line, why })?;
    let mut parser = Parser {
        tokens,
        at: 0,
        blobs,
        quants: HashMap::new(),
        out: Parsed { graph: Graph::default(), fills: HashMap::new(), lines: HashMap::new() },
        states: HashMap::new(),
        limit,
        depth: 0,
    };
    parser.document()?;
    Ok(parser.out)
}

/// The most bytes that constants which are not spelled out may expand to.
const LARGEST_FILL: usize = 1 << 30;

struct Parser<'t> {
    tokens: Vec<(Token<'t>, Line)>,
    at: usize,
    blobs: Blobs<'t>,
    quants: HashMap<String, Quant>,
    out: Parsed,
    states: HashMap<ValueId, ConstData>,
    /// Bytes that constants may still expand to.
    limit: usize,
    /// Storages around the one that is parsed.
    depth: usize,
}

/// Storages may stand in each other: the values of a sparse one can be a palette.
const DEEPEST: usize = 4;

type Result<T, E = ParseError> = std::result::Result<T, E>;

impl<'t> Parser<'t> {
    fn line(&self) -> usize {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.at.saturating_sub(1).min(last)).map_or(0, |(_, line)| *line)
    }

    fn error<T>(&self, why: impl Into<String>) -> Result<T> {
        Err(ParseError { line: self.line(), why: why.into() })
    }

    fn wrap<T>(&self, result: std::result::Result<T, impl std::fmt::Display>) -> Result<T> {
        result.map_err(|e| ParseError { line: self.line(), why: e.to_string() })
    }

    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.at).map(|(t, _)| t)
    }

    fn next(&mut self) -> Result<Token<'t>> {
        match self.tokens.get(self.at) {
            Some((token, _)) => {
                self.at += 1;
                Ok(token.clone())
            }
            None => self.error("the text ends too soon"),
        }
    }

    fn accept(&mut self, token: &Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, c: char) -> Result<()> {
        match self.next()? {
            Token::Punct(found) if found == c => Ok(()),
            found => self.error(format!("expected `{c}`, found {found:?}")),
        }
    }

    fn word(&mut self) -> Result<&'t str> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            found => self.error(format!("expected a word, found {found:?}")),
        }
    }

    fn keyword(&mut self, wanted: &str) -> Result<()> {
        match self.word()? {
            word if word == wanted => Ok(()),
            word => self.error(format!("expected `{wanted}`, found `{word}`")),
        }
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T> {
        let word = self.word()?;
        match word.parse() {
            Ok(n) => Ok(n),
            Err(_) => self.error(format!("`{word}` is not the number expected here")),
        }
    }

    fn sigil(&mut self, sigil: char) -> Result<String> {
        match self.next()? {
            Token::Sigil(c, name) if c == sigil => Ok(name),
            found => self.error(format!("expected a name with `{sigil}`, found {found:?}")),
        }
    }

    fn document(&mut self) -> Result<()> {
        while let Some(Token::Sigil('#', _)) = self.peek() {
            let name = self.sigil('#')?;
            self.expect('=')?;
            let quant = self.quant()?;
            self.quants.insert(name, quant);
        }
        self.keyword("graph")?;
        let name = self.sigil('@')?;
        self.out.graph.set_name(name);
        match self.next()? {
            Token::Open => {}
            found => {
                return self.error(format!("expected `{{` at the line's end, found {found:?}"));
            }
        }
        while !self.accept(&Token::Punct('}')) {
            self.statement()?;
        }
        match self.peek() {
            None => {}
            Some(found) => {
                let why = format!("expected the end, found {found:?}");
                self.at += 1;
                return self.error(why);
            }
        }
        if let Some(current) = self.states.keys().min() {
            let name = &self.out.graph.value(*current).name;
            return self.error(format!("state `{name}` has no `next`"));
        }
        Ok(())
    }

    fn value(&mut self) -> Result<ValueId> {
        let name = self.sigil('%')?;
        match self.out.graph.value_named(&name) {
            Some(value) => Ok(value.id),
            None => self.error(format!("`%{name}` is not defined before this line")),
        }
    }

    fn statement(&mut self) -> Result<()> {
        if let Some(Token::Word(word)) = self.peek() {
            let word = *word;
            self.at += 1;
            return match word {
                "output" => {
                    let value = self.value()?;
                    let index = self.out.graph.outputs().len();
                    let name = self.out.graph.value(value).name.clone();
                    self.out.graph.add_output(name, value);
                    self.port(PortRef::Output(index))
                }
                "next" => {
                    let current = self.value()?;
                    self.expect('=')?;
                    let next = self.value()?;
                    match self.states.remove(&current) {
                        Some(initial) => self.out.graph.set_state(current, next, initial),
                        None => return self.error("`next` of something that is not a fresh state"),
                    }
                    Ok(())
                }
                word => self.error(format!("expected a statement, found `{word}`")),
            };
        }
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        let mut names = vec![self.sigil('%')?];
        while self.accept(&Token::Punct(',')) {
            names.push(self.sigil('%')?);
        }
        for (i, name) in names.iter().enumerate() {
            if self.out.graph.value_named(name).is_some() || names[..i].contains(name) {
                return self.error(format!("`%{name}` is defined twice"));
            }
            self.out.lines.insert(format!("value `{name}`"), line);
        }
        self.expect('=')?;
        let op = self.word()?;
        match (op, names.as_slice()) {
            ("input", [name]) => {
                self.expect(':')?;
                let (ty, range) = self.ty()?;
                let index = self.out.graph.inputs().len();
                let id = self.out.graph.push_value(name.clone(), ty, Def::Input);
                self.out.graph.value_mut(id).range = range;
                let port = crate::Port { name: name.clone(), value: id, external: None };
                self.out.graph.inputs.push(port);
                self.out.lines.insert(format!("input `{name}`"), line);
                self.port(PortRef::Input(index))
            }
            ("const" | "state", [name]) => {
                let (data, ty, range, seed) = self.constant()?;
                let def = if op == "const" { Def::Const(data.clone()) } else { Def::State };
                let id = self.out.graph.push_value(name.clone(), ty, def);
                self.out.graph.value_mut(id).range = range;
                if op == "state" {
                    self.out.lines.insert(format!("state `{name}`"), line);
                    self.states.insert(id, data);
                }
                if let Some(seed) = seed {
                    self.out.fills.insert(id, seed);
                }
                Ok(())
            }
            ("input" | "const" | "state", _) => self.error(format!("`{op}` defines one value")),
            _ => self.node(op, names, line),
        }
    }

    fn node(&mut self, op: &str, names: Vec<String>, line: usize) -> Result<()> {
        self.expect('(')?;
        let mut inputs = Vec::new();
        while !self.accept(&Token::Punct(')')) {
            if !inputs.is_empty() {
                self.expect(',')?;
            }
            inputs.push(self.value()?);
        }
        let mut attrs = toml::Table::new();
        if let Some(Token::Table(table)) = self.peek() {
            let table = *table;
            self.at += 1;
            let mut wrapped: toml::Table = self.wrap(
                toml::from_str(&format!("a = {table}"))
                    .map_err(|e: toml::de::Error| format!("attributes: {}", e.message().trim())),
            )?;
            if let Some(toml::Value::Table(inner)) = wrapped.remove("a") {
                attrs = inner;
            }
        }
        let op = self.wrap(parse_op(op, attrs).map_err(|e| format!("op `{op}`: {e}")))?;
        self.expect(':')?;
        let mut outputs = Vec::with_capacity(names.len());
        let mut ranges = Vec::with_capacity(names.len());
        for (i, name) in names.into_iter().enumerate() {
            if i > 0 {
                self.expect(',')?;
            }
            let (ty, range) = self.ty()?;
            outputs.push((name, ty));
            ranges.push(range);
        }
        let node = match self.peek() {
            Some(Token::Sigil('@', _)) => self.sigil('@')?,
            _ => outputs[0].0.clone(),
        };
        if self.out.graph.node_named(&node).is_some() {
            return self.error(format!("a second node is named `{node}`"));
        }
        self.out.lines.insert(format!("node `{node}`"), line);
        let ids = self.out.graph.push_node(node, op, &inputs, outputs);
        for (id, range) in ids.into_iter().zip(ranges) {
            self.out.graph.value_mut(id).range = range;
        }
        Ok(())
    }

    /// What may follow a port: `external [..]` and `as ".."`.
    fn port(&mut self, port: PortRef) -> Result<()> {
        if self.accept(&Token::Word("external")) {
            let perm = self.list(|p| p.number())?;
            self.out.graph.set_external(port, Some(perm));
        }
        if self.accept(&Token::Word("as")) {
            let Token::Text(name) = self.next()? else {
                return self.error("expected a quoted name after `as`");
            };
            let ports = match port {
                PortRef::Input(i) => self.out.graph.inputs.get_mut(i),
                PortRef::Output(i) => self.out.graph.outputs.get_mut(i),
            };
            if let Some(port) = ports {
                port.name = name;
            }
        }
        Ok(())
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect('[')?;
        let mut items = Vec::new();
        while !self.accept(&Token::Punct(']')) {
            if !items.is_empty() {
                self.expect(',')?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn plain_ty(&mut self) -> Result<(DType, Vec<Dim>)> {
        let word = self.word()?;
        let dtype: DType = self.wrap(word.parse())?;
        let dims = self.list(|p| {
            let word = p.word()?;
            match word.parse::<usize>() {
                Ok(n) => Ok(Dim::Fixed(n)),
                Err(_) if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
                    Ok(Dim::symbol(word))
                }
                Err(_) => p.error(format!("`{word}` is not a dimension")),
            }
        })?;
        Ok((dtype, dims))
    }

    fn ty(&mut self) -> Result<(TensorType, Option<(f32, f32)>)> {
        let (dtype, dims) = self.plain_ty()?;
        let quant = match self.peek() {
            Some(Token::Word("q")) => Some(self.quant()?),
            Some(Token::Sigil('#', _)) => {
                let name = self.sigil('#')?;
                match self.quants.get(&name) {
                    Some(quant) => Some(quant.clone()),
                    None => return self.error(format!("`#{name}` is not defined")),
                }
            }
            _ => None,
        };
        let mut range = None;
        if self.accept(&Token::Word("in")) {
            match self.list(|p| p.number())?.as_slice() {
                [low, high] => range = Some((*low, *high)),
                _ => return self.error("a range has two ends"),
            }
        }
        Ok((TensorType { dtype, shape: Shape::from(dims), quant }, range))
    }

    fn quant(&mut self) -> Result<Quant> {
        self.keyword("q")?;
        self.expect('(')?;
        let quant = if self.accept(&Token::Word("axis")) {
            self.expect('=')?;
            let axis = self.number()?;
            self.expect(',')?;
            let mut block = None;
            if self.accept(&Token::Word("block")) {
                self.expect('=')?;
                block = Some(self.number()?);
                self.expect(',')?;
            }
            let scales: Vec<f32> = self.list(|p| p.number())?;
            let zero_points = if self.accept(&Token::Punct(',')) {
                self.list(|p| p.number())?
            } else {
                vec![0; scales.len()]
            };
            let (scales, zero_points) = (scales.into(), zero_points.into());
            match block {
                None => Quant::PerAxis { axis, scales, zero_points },
                Some(block) => Quant::PerBlock { axis, block, scales, zero_points },
            }
        } else {
            let scale = self.number()?;
            self.expect(',')?;
            Quant::per_tensor(scale, self.number()?)
        };
        self.expect(')')?;
        Ok(quant)
    }

    /// A storage, its type and, if it was a fill, the seed. The storage comes first in the text and
    /// needs the type, so the parser looks ahead for it.
    #[allow(clippy::type_complexity)]
    fn constant(&mut self) -> Result<(ConstData, TensorType, Option<(f32, f32)>, Option<u64>)> {
        if self.depth == DEEPEST {
            return self.error("storages are nested too deep");
        }
        self.depth += 1;
        let found = self.constant_at_depth();
        self.depth -= 1;
        found
    }

    #[allow(clippy::type_complexity)]
    fn constant_at_depth(
        &mut self,
    ) -> Result<(ConstData, TensorType, Option<(f32, f32)>, Option<u64>)> {
        let start = self.at;
        self.skip_storage()?;
        self.expect(':')?;
        let (ty, range) = self.ty()?;
        let end = self.at;
        self.at = start;
        let Some(shape) = ty.shape.fixed() else {
            return self.error("a constant has no unbound dimensions");
        };
        let (data, seed) = self.storage(ty.dtype, &shape)?;
        self.at = end;
        Ok((data, ty, range, seed))
    }

    fn skip_storage(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                Token::Punct('(' | '[') => depth += 1,
                Token::Punct(')' | ']') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                Token::Text(_) if depth == 0 => return Ok(()),
                _ => {}
            }
        }
    }

    fn storage(&mut self, dtype: DType, shape: &[usize]) -> Result<(ConstData, Option<u64>)> {
        if let Some(data) = self.blob(dtype, shape)? {
            return Ok((data, None));
        }
        if self.accept(&Token::Word("fill")) {
            self.expect('(')?;
            self.keyword("seed")?;
            self.expect('=')?;
            let seed = self.number()?;
            self.expect(')')?;
            self.check_size(dtype, shape)?;
            let tensor = self.wrap(fill(seed, dtype, shape))?;
            return Ok((tensor.into(), Some(seed)));
        }
        if self.accept(&Token::Word("palette")) {
            self.expect('(')?;
            self.keyword("book")?;
            self.expect('=')?;
            let (book, ..) = self.constant()?;
            self.expect(',')?;
            self.keyword("codes")?;
            self.expect('=')?;
            self.check_size(DType::U8, shape)?;
            let codes = self.elements(DType::U8, &[shape.iter().product()])?;
            self.expect(')')?;
            let palette = Palette::new(shape, codes.bytes().clone(), book.dense());
            return Ok((ConstData::Palette(self.wrap(palette)?), None));
        }
        if self.accept(&Token::Word("sparse")) {
            self.expect('(')?;
            self.keyword("block")?;
            self.expect('=')?;
            let block: Vec<usize> = self.list(|p| p.number())?;
            self.expect(',')?;
            self.keyword("fill")?;
            self.expect('=')?;
            let zero = self.number()?;
            self.expect(',')?;
            self.keyword("mask")?;
            self.expect('=')?;
            if block.len() != shape.len() || block.contains(&0) {
                return self.error(format!("blocks of {block:?} in {shape:?}"));
            }
            self.check_size(DType::U8, shape)?;
            let blocks: usize = shape.iter().zip(&block).map(|(n, b)| n.div_ceil(*b)).product();
            let mask = self.elements(DType::U8, &[blocks.div_ceil(8)])?;
            self.expect(',')?;
            self.keyword("values")?;
            self.expect('=')?;
            let (values, ..) = self.constant()?;
            self.expect(')')?;
            let sparse = Sparse::new(shape, block, mask.bytes().clone(), zero, values);
            return Ok((ConstData::Sparse(self.wrap(sparse)?), None));
        }
        Ok((self.elements(dtype, shape)?.into(), None))
    }

    /// Takes what a constant expands to from the limit.
    fn check_size(&mut self, dtype: DType, shape: &[usize]) -> Result<()> {
        let size = shape.iter().try_fold(dtype.size(), |n, d| n.checked_mul(*d));
        match size.and_then(|n| self.limit.checked_sub(n)) {
            Some(left) => {
                self.limit = left;
                Ok(())
            }
            None => self.error(format!(
                "{dtype}{shape:?} is over the {} bytes that generated constants may still have",
                self.limit
            )),
        }
    }

    /// A blob, if one is called here.
    fn blob(&mut self, dtype: DType, shape: &[usize]) -> Result<Option<ConstData>> {
        if !self.accept(&Token::Word("blob")) {
            return Ok(None);
        }
        let Token::Text(name) = self.next()? else {
            return self.error("expected the quoted name of a blob");
        };
        let data =
            (self.blobs)(&name, dtype, shape).map_err(|why| format!("blob \"{name}\": {why}"));
        let data = self.wrap(data)?;
        if data.dtype() != dtype || data.shape() != shape {
            let (found, extents) = (data.dtype(), data.shape());
            return self
                .error(format!("blob \"{name}\" is {found}{extents:?}, not {dtype}{shape:?}"));
        }
        Ok(Some(data))
    }

    fn elements(&mut self, dtype: DType, shape: &[usize]) -> Result<Tensor> {
        match self.blob(dtype, shape)? {
            Some(ConstData::Dense(tensor)) => return Ok(tensor),
            Some(_) => return self.error("a part of a constant has to be a dense blob"),
            None => {}
        }
        if self.accept(&Token::Word("splat")) {
            self.expect('(')?;
            let word = self.word()?;
            self.expect(')')?;
            self.check_size(dtype, shape)?;
            let one = self.literals(dtype, &[1], &[word])?;
            let count: usize = shape.iter().product();
            return self.wrap(Tensor::new(dtype, shape, one.bytes().repeat(count).into()));
        }
        if self.peek() != Some(&Token::Punct('[')) {
            return self.error(
                "expected a list, `splat(..)`, `fill(..)`, `blob \"..\"`, `palette(..)` or `sparse(..)`",
            );
        }
        let words = self.list(Self::word)?;
        self.literals(dtype, shape, &words)
    }

    fn literals(&self, dtype: DType, shape: &[usize], words: &[&str]) -> Result<Tensor> {
        match from_literals(dtype, shape, words) {
            Ok(tensor) => Ok(tensor),
            Err(Literal::Bad(i)) => self.error(format!("`{}` is not of type {dtype}", words[i])),
            Err(Literal::Tensor(e)) => self.error(e.to_string()),
        }
    }
}
