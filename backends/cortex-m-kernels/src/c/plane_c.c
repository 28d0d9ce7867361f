typedef int8_t pr_element;
