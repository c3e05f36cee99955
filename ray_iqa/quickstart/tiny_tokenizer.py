"""A byte-level BPE tokenizer of a few hundred tokens for the tiny policy.

Departures from Qwen's tokenizer: it is trained on the prompts and attribute words alone, a digit is always
a token of its own, a think or answer tag is one token, and merges may cross spaces (as in SuperBPE,
arXiv 2503.13423), so that the full published prompt costs a dozen tokens instead of a hundred.
"""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.quickstart.attributes import KIND_WORDS, OPENING, STRENGTH_WORDS

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_PIECES = r"</?(?:think|answer)>|\p{N}|[^\s\p{L}\p{N}]|\n|[ \p{L}]+"
_WORD_REPEATS = 100
_MAX_VOCABULARY = 2048  # training stops earlier, when every text is merged as far as the pieces allow

# Qwen's conversation shape; a message's content is a string or a list of image and text parts.
_CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'text' -%}
{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def build_tiny_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer with Qwen's special tokens and a chat template; the same on every machine."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_MAX_VOCABULARY,
        min_frequency=1,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_texts(), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=32_768,
        clean_up_tokenization_spaces=False,
        chat_template=_CHAT_TEMPLATE,
    )


def _training_texts() -> list[str]:
    prompts = [prompt_by_id(prompt_id) for prompt_id in ("thinking", "non-thinking", "q-insight")]
    texts = [text for prompt in prompts for text in (prompt.system, prompt.text) if text]
    # Words stand alone, so that no phrase of them becomes one token, and are frequent, so that they merge first.
    words = [OPENING, *(f" {word}" for word in (*STRENGTH_WORDS.values(), *KIND_WORDS.values()))]
    return [*texts, "system", "user", "assistant", "<think></think><answer></answer>", *words * _WORD_REPEATS]
